# Sourced by the scripts beside it: makes .venv once and installs this checkout into it.
# usage: ensure_venv EXTRA   (EXTRA: "" | test | dev)
ensure_venv() {
    extra=$1
    top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    cd "$top" || exit 1
    python=${PYTHON:-python3}
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "twisted_gantry needs Python 3.11 or later; $python is $("$python" -V 2>&1). Set PYTHON=/path/to/python3.11" >&2
        exit 1
    fi
    if [ ! -x .venv/bin/python ]; then
        echo "making .venv ..." >&2
        "$python" -m venv .venv || {
            echo "could not make .venv; on Debian: apt-get install python3-venv" >&2
            exit 1
        }
    fi
    # Installed anew only when what is to be installed has changed.
    stamp=.venv/.installed-${extra:-core}
    want=$(cat setup.cfg pyproject.toml constraints.txt | cksum)
    if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
        echo "installing twisted_gantry${extra:+[$extra]} ..." >&2
        .venv/bin/python -m pip install --quiet --disable-pip-version-check \
            --constraint constraints.txt --editable ".${extra:+[$extra]}" || exit 1
        echo "$want" >"$stamp"
    fi
    PATH=$top/.venv/bin:$PATH
    export PATH
}
