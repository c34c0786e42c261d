#!/usr/bin/env bash
# The demo: a React renderer with varve in front, on http://127.0.0.1:8080. ./dev run installs and builds first, then comes here.
# PORT= and RENDERER_PORT= choose other ports. Ctrl-C ends both processes; what they keep lies in .cache/demo.
set -uo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(cd "$here/../.." && pwd)
export PORT=${PORT:-8080} RENDERER_PORT=${RENDERER_PORT:-3000} DEMO_DIR=${DEMO_DIR:-$root/.cache/demo}
export RENDERER=http://127.0.0.1:$RENDERER_PORT VARVE_ADMIN=$DEMO_DIR/store/admin.sock
varve=${VARVE:-$root/build/varve} config=${DEMO_CONFIG:-$here/varve.yaml}
config=${config#"$PWD"/} # as one would type it: errors of a reload begin with it
url=http://127.0.0.1:$PORT
renderer_pid='' varve_pid='' had_renderer=''
exec 3>&2

fail() { printf 'demo: %s\n' "$*" >&3; exit 1; }

is_busy() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

is_running() { [ -n "$1" ] && jobs -pr | grep -qx "$1"; }

# Ends what still runs, whatever the reason to leave; varve first, so that its last requests find a renderer.
finish() {
  trap '' INT TERM HUP EXIT
  local pid
  for pid in $varve_pid $renderer_pid; do
    is_running "$pid" || continue
    kill -TERM "$pid"
    wait "$pid" 2>/dev/null
  done
  exit "${1:-0}"
}

start_renderer() {
  node "$here/server.mjs" </dev/null 2>&3 3>&- &
  renderer_pid=$! had_renderer=yes
}

start_varve() {
  "$varve" run --config "$config" </dev/null 3>&- &
  varve_pid=$!
  for _ in $(seq 300); do
    is_running "$varve_pid" || fail "varve did not start"
    curl -s -o /dev/null --fail --unix-socket "$VARVE_ADMIN" http://localhost/readyz && return
    sleep 0.1
  done
  fail "varve is not ready after 30 s"
}

wait_for_renderer() {
  for _ in $(seq 100); do
    is_running "$renderer_pid" || fail "the renderer did not start"
    is_busy "$RENDERER_PORT" && return
    sleep 0.1
  done
  fail "the renderer is not ready after 10 s"
}

words() {
  local run="${varve#"$PWD"/}" file="$config" log="${DEMO_DIR#"$PWD"/}/access.log"
  cat <<END

The shop is at $url   (varve: pid $varve_pid, renderer: pid $renderer_pid)
Five things to try, in a browser and in another terminal:

1. Open $url twice. The foot of the page says which render it is, and how long
   the answer took. In German:  curl -s -H 'Accept-Language: de' $url
2. Kill the renderer:  curl -X POST $url/crash   (or kill -9 $renderer_pid)
   Pages that were seen before are still served; another one gives the shell.
   Press Enter here to start the renderer again.
3. Log in at $url/login. Every page is now rendered for you, and none of it
   is stored.
4. Press "Publish a new edition" on a product, or  curl -d id=2 $url/publish
   The old price is gone: from its page and from the list, in both languages.
5. Change "ttl: 5m" in $file, then
     $run reload --config $file
     curl -sI $url | grep cache-status

And last:  kill -9 $varve_pid   then start the demo again: the cache is still there.

What varve knows of a page:  $run explain $url/p/2 --config $file
Requests as they come:       tail -f $log
Ctrl-C ends everything.

END
}

# Returns when varve is gone. Enter starts a renderer that died; without a terminal to read there is only the wait.
# What bash itself has to say of killed jobs goes nowhere.
watch() {
  while is_running "$varve_pid"; do
    if [ -n "$had_renderer" ] && ! is_running "$renderer_pid"; then
      had_renderer=''
      echo "demo: the renderer is gone; press Enter to start it again" >&3
    fi
    if read -r -t 1 _; then
      is_running "$renderer_pid" || { start_renderer && wait_for_renderer; }
    elif [ $? -le 128 ]; then
      wait "$varve_pid"
    fi
  done 2>/dev/null
}

[ -x "$varve" ] || fail "$varve is not there: ./dev build makes it"
[ -d "$here/node_modules/react" ] || fail "React is not installed: ./dev run does that, or npm ci in $here"
is_busy "$PORT" && fail "port $PORT is in use; choose another: PORT=8090 ./dev run"
is_busy "$RENDERER_PORT" && fail "port $RENDERER_PORT is in use; choose another: RENDERER_PORT=3900 ./dev run"
mkdir -p "$DEMO_DIR" || fail "cannot make $DEMO_DIR"
trap 'finish 130' INT
trap 'finish 143' TERM HUP
trap 'finish $?' EXIT
trap '' TTIN # started in the background of a terminal: reading fails then, instead of stopping everything
start_renderer
wait_for_renderer
start_varve
words
watch
wait "$varve_pid" 2>/dev/null
status=$?
[ $status -lt 128 ] || echo "demo: varve was killed; start the demo again: the cache is still there" >&2
finish "$status"
