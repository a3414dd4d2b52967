"""Beyond one sitting: many inputs with a manifest, jobs on Slurm, and what became of them. No scheduler of our own."""
