#!/usr/bin/env bash
# The whole comparison, unattended: installs the peers apart from the system, builds ours and the naive baseline, runs all on
# the same instances, prints the tables, draws the plots. Results: comparison/results/*.json; a second run keeps what is there.
#
#   comparison/run.sh [--quick] [--fresh] [--only ours|peers] [--part fleet|dag|online|forecast|apply]…
#                     [--pair TYPES.csv PODS.csv]… [--fleet-folder FOLDER]   # tables of the `fleet` example; a folder: all its pairs
#                     [--catalog FOLDER]                                    # price lists in SkyPilot's form, FOLDER/<cloud>/vms.csv
#                     [--nodes NODES.csv --pods PODS.csv]                   # tables of the `replay` example
#                     [--train TRAIN.csv --test TEST.csv]                   # tables of the `forecast` example
#                     [--plots FOLDER]                                      # comparison/results/plots by default
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results="$here/results"
cache="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/skyloom-comparison"
quick=() only=() pairs=() catalog=(--builtin "$here/../crates/core/src/catalogue/builtin") cluster=() series=() parts=() plots="$results/plots"

while (($#)); do
  case "$1" in
    --quick) quick=(--quick); shift ;;
    --fresh) rm -rf "$results"; shift ;;
    --only) only=(--only "$2"); shift 2 ;;
    --part) parts+=("$2"); shift 2 ;;
    --pair) pairs+=(--pair "$(realpath "$2")" "$(realpath "$3")"); shift 3 ;;
    --fleet-folder)
      for types in "$2"/types_*.csv; do
        for pods in "$2"/*.csv; do
          [[ $(basename "$pods") == types_* ]] || pairs+=(--pair "$(realpath "$types")" "$(realpath "$pods")")
        done
      done
      shift 2 ;;
    --catalog) catalog=(--catalog "$(realpath "$2")"); shift 2 ;;
    --nodes | --pods) cluster+=("$1" "$(realpath "$2")"); shift 2 ;;
    --train | --test) series+=("$1" "$(realpath "$2")"); shift 2 ;;
    --plots) mkdir -p "$2"; plots=$(realpath "$2"); shift 2 ;;
    *) echo "failed to understand \`$1\`" >&2; exit 2 ;;
  esac
done
((${#parts[@]})) || parts=(fleet dag online forecast apply)

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
mkdir -p "$cache" "$results"
python="$cache/venv/bin/python"
[[ -x "$python" ]] || python3 -m venv "$cache/venv"
"$python" -m pip install --quiet --requirement "$here/requirements.txt"
# An engine of 170 MB that not every platform has: only where it is asked for, and without it ours is measured alone.
if [[ " ${parts[*]} " == *" apply "* ]]; then
  "$python" -m pip install --quiet --requirement "$here/requirements-apply.txt" || true
fi

cargo build --release --quiet --workspace --manifest-path "$here/Cargo.toml"
declare -A example=([fleet]=fleet [dag]=dag [online]=replay [forecast]=forecast [apply]=apply_bench)
for part in "${parts[@]}"; do
  cargo build --release --quiet --manifest-path "$here/../Cargo.toml" -p skyloom-examples --example "${example[$part]}"
done
built="$CARGO_TARGET_DIR/release"

cd "$here"
export PYTHONDONTWRITEBYTECODE=1
for part in "${parts[@]}"; do
  ours=(--ours "$built/examples/${example[$part]}" --results "$results" "${quick[@]}")
  case "$part" in
    fleet) "$python" -m compare.fleet "${ours[@]}" "${only[@]}" "${pairs[@]}" ;;
    dag) "$python" -m compare.dag "${ours[@]}" "${catalog[@]}" ;;
    forecast) "$python" -m compare.forecast "${ours[@]}" --peers "$built/forecast-peers" "${series[@]}" ;;
    apply) "$python" -m compare.apply "${ours[@]}" "${only[@]}" ;;
    online) "$python" -m compare.online "${ours[@]}" --scan "$built/scan" "${cluster[@]}" ;;
  esac
done
"$python" -m compare.plots --results "$results" --out "$plots"
