# Sourced by ./dev: system packages, and what Debian 12 has too old or not at all (nats-server >=
# 2.15.1, yyjson, and for tests the command line clients of the NATS project and DuckDB), taken
# privately into .deps of the checkout.
#
# Private means: Debian's own signed packages of a newer suite, read with an apt state of our own and
# unpacked without installing; the system's package database and sources are never touched. They are
# kept in $SHEAF_DOWNLOADS, so a second checkout only copies them. A component appears in the cache by
# one rename, and one lock is held meanwhile: stopping it at any moment, or starting it twice, is safe.

readonly NATS_MIN=2.15.1
readonly NATS_GO=1.55.0 # the NATS project's client for Go; its examples/ hold nats-sub and nats-req
readonly GO_MIN=1.25
readonly DUCKDB=1.5.6-r.1 # the npm package holds libduckdb.so, which tests compare filters with
readonly DUCKDB_SHA512=IXcrZJE6kEqM0Z4wwdVnGBHX/frOS33VPNAwDXQ/Q+Fs84b058Qe94chrCCIcNJlG8Y3UHIUU4eBeCQxW5mN1Q==
readonly NATS_PY=2.16.0
readonly NATS_PY_SHA256=aeb1ff123966c05833d26c7df7e1d54c1c6d32b612428b21677a2e921f1fecae
readonly NATS_JS=2.29.3
readonly NATS_JS_PACKAGES=( # with the SHA-512 of each
    nats@2.29.3 tOQCRCwC74DgBTk4pWZ9V45sk4d7peoE2njVprMRCBXrhJ5q5cYM7i6W+Uvw2qUrcfOSnuisrX7bEx3b3Wx4QA==
    nkeys.js@1.1.0 tB/a0shZL5UZWSwsoeyqfTszONTt4k2YS0tuQioMOD180+MbombYVgzDUYHlx+gejYK6rgf08n/2Df99WY0Sxg==
    tweetnacl@1.0.3 6rt+RN7aOi1nGMyC4Xa5DdYiukl2UWCbcJft7YhxReBGQD7OAM8Pbxw6YMo4r2diNEA8FEmu32YOn9rhaiE5yw==
)
readonly PACKAGES_BUILD=(
    gcc libc6-dev meson ninja-build pkg-config python3
    libuv1-dev libnats-dev librocksdb-dev libsodium-dev libmicrohttpd-dev libcurl4-openssl-dev
    libfyaml-dev zlib1g-dev libzstd-dev libpcre2-dev libprotobuf-c-dev protobuf-c-compiler
    protobuf-compiler libcmocka-dev
)
readonly PACKAGES_TEST=(ca-certificates curl mandoc python3-pip)
readonly PACKAGES_LINT=(clang-format clang-tidy)
readonly PACKAGES_CLANG=(clang libclang-rt-dev)

# --- small helpers -------------------------------------------------------------------------------

say() {
    printf '==> %s\n' "$*" >&2
}

die() {
    printf 'dev: %s\n' "$*" >&2
    exit 1
}

# quietly TITLE COMMAND...: says the title; the command's output is shown only when it fails.
quietly() {
    local title=$1 log started=$SECONDS
    shift
    log=$(mktemp "${TMPDIR:-/tmp}/sheaf-dev.XXXXXX")
    say "$title"
    if "$@" >"$log" 2>&1 </dev/null; then
        rm -f "$log"
        say "done in $((SECONDS - started)) s"
        return 0
    fi
    printf 'dev: failed: %s\n' "$*" >&2
    tail -n 80 "$log" >&2
    rm -f "$log"
    return 1
}

version_at_least() { # HAVE WANTED
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

# The cache directory; one inside the checkout when there is no home that can be written to.
choose_cache() {
    local dir=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
    if [ -n "${SHEAF_DOWNLOADS:-}" ] && mkdir -p "$SHEAF_DOWNLOADS" 2>/dev/null; then
        return
    fi
    SHEAF_DOWNLOADS=$ROOT/.cache
    if [ -n "$dir" ] && mkdir -p "$dir/sheaf" 2>/dev/null && [ -w "$dir/sheaf" ]; then
        SHEAF_DOWNLOADS=$dir/sheaf
    fi
    mkdir -p "$SHEAF_DOWNLOADS"
}

# --- system packages -----------------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    elif command -v sudo >/dev/null && [ -t 0 ]; then
        sudo "$@"
    else
        die "root is needed to install packages; run as root: apt-get update && apt-get install -y ${missing[*]}"
    fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 \
        -o Acquire::Retries=3 install --no-install-recommends "$@"
}

# Some foreign source of the machine may be unreachable: what counts is whether the install works.
apt_update() {
    as_root apt-get -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 update ||
        echo "apt-get update ended with errors; going on"
}

# need_packages PACKAGE...: installs those that are missing; 20 ms when none is.
need_packages() {
    local missing=() name
    local installed
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        say "not a Debian system: expecting the libraries listed in tools/setup.sh to be there"
        return
    fi
    installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null || true)
    for name in "$@"; do
        grep -qx "ii *$name" <<<"$installed" || missing+=("$name")
    done
    if [ "${#missing[@]}" = 0 ]; then
        return
    fi
    as_root true
    if ! apt-cache --no-all-versions show "${missing[@]}" >/dev/null 2>&1; then
        quietly "apt-get update" apt_update || true
    fi
    if ! quietly "apt-get install ${missing[*]}" apt_install "${missing[@]}"; then
        say "once more with fresh package lists"
        quietly "apt-get update" apt_update || true
        quietly "apt-get install ${missing[*]}" apt_install "${missing[@]}" ||
            die "packages could not be installed: ${missing[*]}"
    fi
}

# --- packages of a newer suite, privately --------------------------------------------------------

# Prints the address of the Debian archive this machine's own apt sources name, security apart.
debian_mirror() {
    local codename
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(CREATED_BY)' 2>/dev/null |
        awk -v codename="$codename" '
            $4 != "Packages" || $3 != "main" || $1 ~ /^cdrom:/ || $2 ~ /security/ { next }
            $2 == codename || $2 ~ /^(stable|oldstable|testing|unstable|sid)$/ { print $1; exit }'
}

# apt_private DIR SUITE: an apt of its own in DIR that knows SUITE only.
apt_private() {
    local dir=$1 suite=$2 mirror keyring
    mirror=$(debian_mirror)
    if [ -z "$mirror" ]; then
        echo "no Debian archive among the machine's apt sources"
        return 1
    fi
    for keyring in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
        [ -r "$keyring" ] && break
    done
    mkdir -p "$dir"/{lists/partial,archives/partial,preferences.d,sources.list.d,root}
    : >"$dir/status"
    echo "deb [signed-by=$keyring] $mirror $suite main" >"$dir/sources.list"
    # The machine's proxies and passwords stay in force; its hooks and pins do not.
    apt-config dump 2>/dev/null | grep -E '^Acquire::(http|https|ForceIPv[46])[: ]' >"$dir/apt.conf" || true
    cat >>"$dir/apt.conf" <<CONF
Dir::Etc::sourcelist "$dir/sources.list"; Dir::Etc::sourceparts "$dir/sources.list.d";
Dir::Etc::preferences "$dir/preferences"; Dir::Etc::preferencesparts "$dir/preferences.d";
Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null";
Dir::State "$dir"; Dir::State::lists "$dir/lists"; Dir::State::status "$dir/status";
Dir::Cache "$dir"; Dir::Cache::archives "$dir/archives";
Acquire::Languages "none"; Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::Retries "3"; APT::Sandbox::User "root";
CONF
    # A mirror's copy of a newer suite may be past its date; its signature is checked all the same.
    echo 'Acquire::Check-Valid-Until "false";' >>"$dir/apt.conf"
}

# fetch_debian DIR SUITE PACKAGE...: unpacks the packages under DIR/root.
fetch_debian() {
    local dir=$1 suite=$2 deb
    shift 2
    apt_private "$dir" "$suite" || return 1
    APT_CONFIG=$dir/apt.conf apt-get -q -o APT::Update::Error-Mode=any update || return 1
    (cd "$dir/archives" && APT_CONFIG=$dir/apt.conf apt-get -q download "$@") || return 1
    for deb in "$dir"/archives/*.deb; do
        dpkg-deb -x "$deb" "$dir/root" || return 1
    done
}

nats_version() { # BINARY
    "$1" --version 2>/dev/null | sed -n 's/^nats-server: v//p'
}

nats_is_good() { # BINARY
    [ -x "$1" ] && version_at_least "$(nats_version "$1")" "$NATS_MIN"
}

take_nats_from_debian() { # WORK
    local suite
    for suite in forky sid; do
        rm -rf "$1/apt"
        if fetch_debian "$1/apt" "$suite" nats-server &&
            nats_is_good "$1/apt/root/usr/sbin/nats-server"; then
            install -D "$1/apt/root/usr/sbin/nats-server" "$1/out/bin/nats-server"
            return
        fi
    done
    return 1
}

# go_install WORK MODULE...: into WORK/out/bin, with the machine's Go or, where that is missing or too
# old, Debian's of a newer suite.
go_install() {
    local work=$1 go have root
    shift
    go=$(command -v go || true)
    have=$([ -z "$go" ] || GOTOOLCHAIN=local "$go" env GOVERSION 2>/dev/null | sed 's/^go//')
    if ! version_at_least "${have:-0}" "$GO_MIN"; then
        echo "Go here: ${have:-none}; taking one from a newer Debian suite"
        fetch_debian "$work/go-apt" forky golang-1.27-go golang-1.27-src || return 1
        root=$work/go-apt/root/usr/lib/go-1.27
        go=$root/bin/go
        export GOROOT=$root
    fi
    mkdir -p "$work/out/bin"
    GOPATH=$work/go GOCACHE=$work/go-build GOBIN=$work/out/bin GOFLAGS=-modcacherw \
        GOTOOLCHAIN=local CGO_ENABLED=0 "$go" install -trimpath -ldflags '-s -w' "$@"
}

take_nats_from_go() { # WORK
    command -v go >/dev/null || return 1
    go_install "$1" "github.com/nats-io/nats-server/v2@v$NATS_MIN" &&
        nats_is_good "$1/out/bin/nats-server"
}

take_nats() { # WORK
    take_nats_from_debian "$1" || take_nats_from_go "$1"
}

yyjson_is_good() { # PREFIX
    [ -e "$1/lib/libyyjson.so" ] && [ -e "$1/include/yyjson.h" ]
}

take_yyjson() { # WORK
    fetch_debian "$1/apt" trixie libyyjson0 libyyjson-dev || return 1
    mkdir -p "$1/out/lib" "$1/out/include"
    cp -a "$1"/apt/root/usr/lib/*/libyyjson.so* "$1/out/lib/" &&
        cp "$1/apt/root/usr/include/yyjson.h" "$1/out/include/" &&
        yyjson_is_good "$1/out"
}

clients_are_good() { # PREFIX
    [ -x "$1/bin/nats-sub" ] && [ -x "$1/bin/nats-req" ]
}

take_clients() { # WORK
    local module=github.com/nats-io/nats.go/examples
    go_install "$1" "$module/nats-sub@v$NATS_GO" "$module/nats-req@v$NATS_GO" &&
        clients_are_good "$1/out"
}

nats_py_is_good() { # PREFIX
    [ -e "$1/python/nats/aio/client.py" ]
}

take_nats_py() { # WORK
    printf 'nats-py==%s --hash=sha256:%s\n' "$NATS_PY" "$NATS_PY_SHA256" >"$1/wanted"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
        --only-binary :all: --target "$1/out/python" -r "$1/wanted" && nats_py_is_good "$1/out"
}

nats_js_is_good() { # PREFIX
    [ -e "$1/node_modules/nats/package.json" ] && [ -e "$1/node_modules/tweetnacl/package.json" ]
}

# has_sha512 FILE HASH: in base64, as npm writes them.
has_sha512() {
    python3 - "$1" "$2" <<'PY'
import base64, hashlib, sys
found = base64.b64encode(hashlib.sha512(open(sys.argv[1], "rb").read()).digest()).decode()
sys.exit(0 if found == sys.argv[2] else f"{sys.argv[1]} has another hash: {found}")
PY
}

take_nats_js() { # WORK
    local i name file
    for ((i = 0; i < ${#NATS_JS_PACKAGES[@]}; i += 2)); do
        name=${NATS_JS_PACKAGES[i]%@*}
        file=$(cd "$1" && npm pack --silent --ignore-scripts --fetch-retries=0 "${NATS_JS_PACKAGES[i]}") &&
            has_sha512 "$1/$file" "${NATS_JS_PACKAGES[i + 1]}" || return 1
        mkdir -p "$1/out/node_modules/$name"
        tar -xzf "$1/$file" -C "$1/out/node_modules/$name" --strip-components=1 || return 1
    done
    nats_js_is_good "$1/out"
}

duckdb_is_good() { # PREFIX
    [ -e "$1/lib/libduckdb.so" ]
}

take_duckdb() { # WORK
    local package=@duckdb/node-bindings-linux-x64@$DUCKDB file
    file=$(cd "$1" && npm pack --silent --ignore-scripts --fetch-retries=0 "$package") || return 1
    has_sha512 "$1/$file" "$DUCKDB_SHA512" || return 1
    mkdir -p "$1/out/lib"
    tar -xzf "$1/$file" -C "$1/out/lib" --strip-components=1 package/libduckdb.so
}

prometheus_is_good() { # PREFIX
    [ -x "$1/bin/prometheus" ] && [ -x "$1/bin/promtool" ]
}

# Unpacked, not installed: the package would start a service of its own.
take_prometheus() { # WORK
    local deb packages=(prometheus)
    mkdir -p "$1/deb" "$1/out/bin"
    if apt-cache --no-all-versions show promtool >/dev/null 2>&1; then
        packages+=(promtool) # a package of its own from Debian 13 on
    fi
    (cd "$1/deb" && apt-get -q -o Acquire::Retries=3 download "${packages[@]}") || return 1
    for deb in "$1"/deb/*.deb; do
        dpkg-deb -x "$deb" "$1/deb" || return 1
    done
    cp "$1/deb/usr/bin/prometheus" "$1/deb/usr/bin/promtool" "$1/out/bin/" && prometheus_is_good "$1/out"
}

# need_component NAME KEY TITLE TAKE: puts what TAKE leaves in WORK/out into .deps, by way of the cache.
need_component() {
    local name=$1 key=$2 title=$3 take=$4 kept work
    kept=$SHEAF_DOWNLOADS/$name-$key-$(uname -m)
    if [ ! -d "$kept" ]; then
        exec 9>"$SHEAF_DOWNLOADS/lock"
        flock 9
        if [ ! -d "$kept" ]; then
            rm -rf "$SHEAF_DOWNLOADS"/work.*
            work=$(mktemp -d "$SHEAF_DOWNLOADS/work.XXXXXX")
            if ! quietly "$title" "$take" "$work"; then
                rm -rf "$work"
                exec 9>&-
                return 1
            fi
            mv "$work/out" "$kept"
            rm -rf "$work"
        fi
        exec 9>&-
    fi
    place "$kept"
}

# place DIR: its files into .deps, each by one rename: never half a file, never a busy one rewritten.
place() {
    local staged file
    mkdir -p "$DEPS"
    staged=$(mktemp -d "$DEPS/.new.XXXXXX")
    cp -a "$1/." "$staged/"
    (cd "$staged" && find . ! -type d -print0) | while IFS= read -r -d '' file; do
        mkdir -p "$DEPS/$(dirname "$file")"
        mv -f "$staged/$file" "$DEPS/$file"
    done
    rm -rf "$staged"
}

# --- what the commands ask for -------------------------------------------------------------------

need_deps() {
    if ! nats_is_good "$DEPS/bin/nats-server"; then
        need_component nats-server "$NATS_MIN" \
            "taking nats-server $NATS_MIN or newer from a newer Debian suite, privately" take_nats ||
            die "no nats-server $NATS_MIN: neither as a Debian package nor, where Go is installed, as a module"
        say "nats-server $(nats_version "$DEPS/bin/nats-server") is in .deps/bin"
    fi
    if ! pkg-config --exists yyjson && ! yyjson_is_good "$DEPS"; then
        need_component yyjson 0.10 "taking yyjson from Debian 13, privately" take_yyjson ||
            die "no yyjson: the Debian 13 packages libyyjson0 and libyyjson-dev could not be fetched"
    fi
}

# Without them the tests that speak to us as strangers fail, and say so.
need_clients() {
    if ! clients_are_good "$DEPS"; then
        need_component nats-clients "$NATS_GO" \
            "building nats-sub and nats-req of the NATS project, for tests" take_clients ||
            say "going on without nats-sub and nats-req: tests that need them will fail"
    fi
}

# Without them the tests of these clients are skipped, and say so.
need_client_libraries() {
    if ! nats_py_is_good "$DEPS"; then
        need_component nats-py "$NATS_PY" "taking nats-py $NATS_PY from PyPI, for tests" take_nats_py ||
            say "going on without nats-py: its tests are skipped"
    fi
    if ! nats_js_is_good "$DEPS" && command -v node >/dev/null && command -v npm >/dev/null; then
        need_component nats-js "$NATS_JS" "taking the JavaScript client from npm, for tests" take_nats_js ||
            say "going on without the JavaScript client: its tests are skipped"
    fi
}

# Without it the comparison of filters with DuckDB is skipped, and says so.
need_duckdb() {
    if duckdb_is_good "$DEPS" || [ "$(uname -m)" != x86_64 ] || ! command -v npm >/dev/null; then
        return
    fi
    need_component duckdb "$DUCKDB" "taking DuckDB $DUCKDB from npm, for tests" take_duckdb ||
        say "going on without DuckDB: filters are not compared with it"
}

# Without it the scrape by a stock Prometheus is skipped, and says so.
need_prometheus() {
    if prometheus_is_good "$DEPS" || command -v promtool >/dev/null; then
        return
    fi
    need_component prometheus debian "taking Prometheus from Debian, privately, for tests" take_prometheus ||
        say "going on without Prometheus: nothing scrapes the metrics in a test"
}

# Debian 13 has yyjson itself; Debian 12 does not.
yyjson_package() {
    local codename
    codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")
    [ "$codename" = bookworm ] || echo libyyjson-dev
}

# setup [test] [lint] [clang]: everything that building needs, and what is named.
setup() {
    local packages=("${PACKAGES_BUILD[@]}") extra
    mapfile -t -O "${#packages[@]}" packages < <(yyjson_package)
    for extra in "$@"; do
        case $extra in
        test) packages+=("${PACKAGES_TEST[@]}") ;;
        lint) packages+=("${PACKAGES_LINT[@]}") ;;
        clang) packages+=("${PACKAGES_CLANG[@]}") ;;
        esac
    done
    choose_cache
    need_packages "${packages[@]}"
    need_deps
    if [[ " $* " == *" test "* ]]; then
        need_clients
        need_client_libraries
        need_duckdb
        need_prometheus
    fi
}
