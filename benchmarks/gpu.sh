#!/usr/bin/env bash
# The distillation losses on a GPU machine: right or wrong first, then the table.
#
#     benchmarks/gpu.sh check [pytest options]   # under 9 minutes
#     benchmarks/gpu.sh table [case...]          # under 9 minutes; more cases in further runs
#
# Needs Python 3.11+ with torch and triton. No Rust, no package index, no installed Collegium;
# pytest and rivals join in where they are installed. Results are JSON in $OUT, or in
# benchmarks/results/. Set PYTHON to choose the interpreter, DEVICE=cpu to try the script itself.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-}
case "$mode" in
  check | table) shift ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
python=${PYTHON:-python3}
device=${DEVICE:-cuda}
out=${OUT:-benchmarks/results}
mkdir -p "$out"

# The package without its Rust half: the kernels need torch alone. Copied, for links may be lost
# on the way here.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/collegium"
cp python/collegium/__init__.py "$work/collegium/"
cp -R kernels/collegium_kernels "$work/collegium/kernels"
export PYTHONPATH="$work${PYTHONPATH:+:$PYTHONPATH}"
export TRITON_CACHE_DIR="$work/triton" TORCHINDUCTOR_CACHE_DIR="$work/inductor"
unset TRITON_INTERPRET

"$python" - "$device" <<'PY'
import sys, torch
print("torch", torch.__version__, "python", sys.version.split()[0])
if sys.argv[1] == "cuda":
    if not torch.cuda.is_available():
        sys.exit("no CUDA device: torch.cuda.is_available() is False")
    print(torch.cuda.get_device_name(0))
import collegium.kernels
print("kernels from", collegium.kernels.__file__)
PY

if [ "$mode" = check ]; then
  checked=0 tested=0
  COLLEGIUM_CHECKS=1 timeout 240 "$python" -m collegium.kernels.bench --self-check \
    --device "$device" --json "$out/kernels_${device}_check.json" || checked=$?
  if "$python" -c "import pytest" 2>/dev/null; then
    # Its own settings: the project's ask for plug-ins that may not be here.
    cat > "$work/pytest.ini" <<'INI'
[pytest]
markers =
    ci: slow
    nightly: by hand
    gpu: needs a CUDA device
    unpoisoned: leave torch.empty alone
    timeout: seconds
INI
    timeout 270 "$python" -m pytest -c "$work/pytest.ini" --rootdir . --confcutdir . --import-mode=importlib \
      -p no:cacheprovider -m gpu tests/kernels -q -rs "$@" || tested=$?
    # 5: no test of that mark was collected.
    [ "$tested" -ne 5 ] || tested=0
  else
    echo "pytest is not installed: the self-check above stands alone"
  fi
  if [ "$checked" -ne 0 ] || [ "$tested" -ne 0 ]; then
    echo "check: FAILED (self-check $checked, tests $tested)"
    exit 1
  fi
  echo "check: passed"
  exit 0
fi

# No measurement starts after 400 s and none lasts longer than 110 s.
suffix=""
cases=()
if [ "$#" -gt 0 ]; then
  suffix="_$(IFS=-; echo "$*")"
  cases=(--cases "$@")
fi
result="$out/kernels_${device}${suffix}.json"
timeout 530 "$python" -m collegium.kernels.bench --device "$device" "${cases[@]}" --rounds 1 \
  --seconds 2 --budget 400 --limit 110 --table --json "$result"
echo "written: $result"
