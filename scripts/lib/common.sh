# Shared by the verbs in scripts/: messages, packages, building. Sourced, bash.

set -euo pipefail
SPILLWAY_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
verb=$(basename "$0")

say() { printf '%s: %s\n' "$verb" "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# run_quietly TEXT COMMAND...: output goes to a log that is shown only on failure; a
# line every few seconds tells that it goes on.
run_quietly() {
  local text=$1 log start pid now last=0
  shift
  log=$(mktemp)
  start=$SECONDS
  say "$text"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    now=$((SECONDS - start))
    if ((now >= last + 2)); then
      last=$now
      if [[ -t 2 ]]; then
        printf '\r\033[K%s: %s (%d s) %.60s' "$verb" "$text" "$now" "$(tail -n 1 "$log" | tr -d '\r')" >&2
      elif ((now % 30 < 2)); then
        say "$text ($now s)"
      fi
    fi
  done
  [[ -t 2 ]] && printf '\r\033[K' >&2
  if wait "$pid"; then
    rm -f "$log"
    return 0
  fi
  tail -n 40 "$log" >&2
  rm -f "$log"
  return 1
}

is_installed() {
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# missing_packages SET...: names, one per line.
missing_packages() {
  local set package command wanted=" $* "
  while read -r set package command; do
    [[ $set == \#* || -z $set || $wanted != *" $set "* ]] && continue
    [[ -n $command ]] && command -v "$command" >/dev/null && continue
    is_installed "$package" || echo "$package"
  done <"$SPILLWAY_SOURCE/scripts/lib/packages"
}

# need_packages SET...: installs what is missing when root, else says what is.
need_packages() {
  local missing
  if ! command -v dpkg-query >/dev/null; then
    say "no dpkg here: not looking for packages (scripts/lib/packages lists them)"
    return 0
  fi
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]} == 0)) && return 0
  ((EUID == 0)) || die "missing packages; as root: apt-get install ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # An archive that cannot be reached now matters only if a package is not known yet.
  run_quietly "reading package lists" apt-get update -q ||
    say "the package lists could not all be read; trying with what is known"
  refuse_removals "${missing[@]}"
  # A throw-away machine need not survive a power cut in the middle: no fsync per file.
  local speed=()
  [[ -z ${CI:-} ]] || speed=(-o Dpkg::Options::=--force-unsafe-io)
  run_quietly "installing ${#missing[@]} Debian packages" \
    apt-get install -y -q --no-install-recommends ${speed[@]+"${speed[@]}"} "${missing[@]}" ||
    die "apt-get could not install: ${missing[*]}"
}

# Debian allows the headers of one Boost at a time, so libboost1.81-dev replaces those
# of another version. Nothing else may disappear without being asked.
refuse_removals() {
  local removed foreign
  removed=$(apt-get install -s --no-install-recommends "$@" 2>/dev/null | awk '/^Remv / {print $2}')
  [[ -z $removed ]] && return 0
  foreign=$(grep -v '^libboost' <<<"$removed" || true)
  [[ -z $foreign ]] ||
    die "installing would remove $(tr '\n' ' ' <<<"$foreign"); do that by hand: apt-get install $*"
  say "libboost1.81-dev replaces $(tr '\n' ' ' <<<"$removed")"
}

# build_preset PRESET [TARGET...]
build_preset() {
  local preset=$1 dir=$SPILLWAY_SOURCE/build/$1
  shift
  mkdir -p "$dir" 2>/dev/null || true
  [[ -w $dir && (! -e $dir/build.ninja || -w $dir/build.ninja) ]] ||
    die "$dir is not writable by $(id -un): run as its owner, or copy the source tree"
  (cd "$SPILLWAY_SOURCE" && run_quietly "configuring ($preset)" cmake --preset "$preset") ||
    die "cmake could not configure"
  say "building ($preset)"
  NINJA_STATUS='[%f/%t %e s] ' ninja -C "$dir" -j "$(nproc)" "$@" >&2 || die "the build failed"
}
