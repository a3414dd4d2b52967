"""``python -m ethomorph``"""

from ethomorph.cli import main

main()
