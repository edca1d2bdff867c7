#!/usr/bin/env bash
# Install Debian's Chromium where it is missing. Without apt-get, root or a network nothing happens but
# a word: the tests that need a browser then skip with their reason.
set -uo pipefail
command -v chromium >/dev/null && exit 0

skip() {
  echo "install_browser: $1; the tests of the report's page will be skipped" >&2
  exit 0
}

command -v apt-get >/dev/null || skip "no apt-get here"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null && sudo -n true 2>/dev/null || skip "not root, and no sudo without a password"
  as_root=(sudo -n)
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive timeout 600 apt-get -qq -o Acquire::Retries=2 -o Acquire::http::Timeout=30)
"${apt[@]}" install --yes --no-install-recommends chromium fonts-dejavu-core >/dev/null 2>&1 ||
  { "${apt[@]}" update >/dev/null 2>&1 && "${apt[@]}" install --yes --no-install-recommends chromium fonts-dejavu-core >/dev/null; } ||
  skip "apt-get could not install chromium"
command -v chromium >/dev/null || skip "the package chromium brought no program of that name"
