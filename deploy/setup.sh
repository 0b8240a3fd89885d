#!/bin/sh
# Makes a bare machine able to run or test Cueline. Called by the Makefile, one part at a time:
#   .base    the virtual environment with what running needs
#   .whisper the same with what listening needs; .piper, .kokoro, .higgs with what these voices need, .local our own model
#   .coqui   the same with what this voice needs
#   .dev     the same with what tests and checks need
#   kyutai   an environment of its own, .venv/kyutai, for this voice
#   node     what lints the page
#   tools    node and a Chromium for the tests of the page, docker-compose for that of its file, faketime, postgres
# pip, npm and apt are used as they are configured on this machine.
set -eu
cd "$(dirname "$0")/.."
VENV=.venv

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# Install Debian packages where we may; fails quietly where we may not.
apt() {
    has apt-get || return 1
    if [ "$(id -u)" = 0 ]; then as_root=""
    elif has sudo && sudo -n true 2>/dev/null; then as_root="sudo -n"
    else return 1; fi
    say "installing $*"
    $as_root env DEBIAN_FRONTEND=noninteractive sh -c '
        apt-get install -y -q --no-install-recommends "$@" ||
        { apt-get update -q && apt-get install -y -q --no-install-recommends "$@"; }' apt "$@" >"$LOG" 2>&1 ||
        { tail -n 5 "$LOG" >&2; return 1; }
}

find_python() {
    for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if has "$name" && "$name" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    return 1
}

make_venv() {
    [ -x $VENV/bin/python ] && $VENV/bin/python -m pip --version >/dev/null 2>&1 && return
    python=$(find_python) || { apt python3 python3-venv && python=$(find_python); } ||
        fail "needs Python 3.11 or newer, with its venv module"
    say "making $VENV with $("$python" --version)"
    rm -rf $VENV
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv $VENV && return
    fi
    # Debian ships ensurepip apart. The machine's own pip can fill an environment without it.
    "$python" -m venv --without-pip $VENV
    "$python" -m pip --python $VENV/bin/python install --quiet pip >"$LOG" 2>&1 && return
    apt python3-venv || { tail -n 5 "$LOG" >&2; fail "needs python3-venv (or python3-pip); install it and try again"; }
    rm -rf $VENV
    "$python" -m venv $VENV
}

install_project() {
    make_venv
    say "installing $1 (once)"
    $VENV/bin/python -m pip install --quiet --disable-pip-version-check --no-input -c constraints.txt -e "$1"
    touch "$VENV/$2"
}

need_node() {
    { has node && has npm; } || apt nodejs npm || fail "needs node and npm for the page's tests; install nodejs and npm"
}

need_browser() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        has "$name" && return
    done
    apt chromium && return
    say "no Chromium here and no right to install one (apt-get install chromium)"
    [ -z "${CI:-}" ] || fail "CI runs every test, so this is an error"
    say "THE TESTS IN A BROWSER WILL BE SKIPPED"
}

# Only reads docker-compose.yml, for the test of that file; no Docker engine is needed for it.
need_compose() {
    docker compose version >/dev/null 2>&1 && return
    has docker-compose && return
    apt docker-compose || say "docker-compose.yml will not be validated: no docker compose here"
}

# Turns a worker's clock by an hour, for the one test that needs it.
need_faketime() {
    has faketime && return
    apt faketime || say "the test of skewed clocks will be skipped: no faketime here"
}

# A real Postgres for the tests of the Store; PostgREST comes with npm.
need_postgres() {
    has postgres && return
    [ -n "$(find /usr/lib/postgresql -name postgres -type f 2>/dev/null)" ] && return
    apt postgresql && return
    say "THE STORE WILL NOT BE TESTED ON POSTGRES: none here and no right to install one (apt-get install postgresql)"
    [ -z "${CI:-}" ] || fail "CI runs every test, so this is an error"
}

# Packages that moshi wants in older versions than the rest has.
NOT_KYUTAI='torch|numpy|safetensors|huggingface_hub|hf-xet|transformers|tokenizers|setuptools|sympy|aiohttp|multidict'
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
case "$1" in
    .base) install_project . .base ;;
    .whisper | .piper | .kokoro | .higgs | .local)
        install_project ".[${1#.}]" "$1"
        touch $VENV/.base
        ;;
    .coqui)
        install_project '.[coqui]' .coqui
        # coqui-tts only imports it. Where its compiled part fits another torch it goes on without.
        $VENV/bin/python -c 'import torchaudio' 2>"$LOG" ||
            rm -f "$($VENV/bin/python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')"/torchaudio/lib/*.so
        touch $VENV/.base
        ;;
    kyutai)
        mkdir -p .venv
        VENV=.venv/kyutai
        make_venv
        say "installing .[kyutai] (once)"
        grep -viE "^($NOT_KYUTAI)==" constraints.txt >"$LOG"
        $VENV/bin/python -m pip install --quiet --disable-pip-version-check --no-input -c "$LOG" -e '.[kyutai]'
        ;;
    .dev)
        install_project '.[dev,whisper,supabase,piper,kokoro,higgs,local]' .dev
        touch $VENV/.base $VENV/.whisper $VENV/.piper $VENV/.kokoro $VENV/.higgs $VENV/.local
        ;;
    node)
        need_node
        say "installing what lints the page (once)"
        npm ci --silent --no-audit --no-fund
        touch node_modules/.done
        ;;
    tools)
        need_node
        need_browser
        need_compose
        need_faketime
        need_postgres
        ;;
    *) fail "there is no part $1" ;;
esac
