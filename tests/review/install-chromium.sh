#!/usr/bin/env bash
# Chromium from the distribution's packages, where this user may install it; the tests say what they skip otherwise.
set -euo pipefail
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "no Chromium here, and it cannot be installed by this user; tests in a browser will be skipped" >&2; exit 0; fi
apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null \
  || echo "Chromium could not be installed; tests in a browser will be skipped" >&2
