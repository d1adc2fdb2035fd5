# A PostgreSQL server for the tests: a private one in a temporary folder, on a free port. Sourced.
#
#   has_postgres     whether a server can be started here
#   start_postgres   sets CAUSERIE_TEST_POSTGRES_URL; the server is stopped when the script ends
#
# An address that is set already is used as it is. Other servers of the machine are left alone.

postgres_bin() {
  { ls -d /usr/lib/postgresql/*/bin 2>/dev/null || true; } | sort -V | tail -n 1
}

has_postgres() {
  [ -n "${CAUSERIE_TEST_POSTGRES_URL:-}" ] || [ -n "$(postgres_bin)" ]
}

start_postgres() {
  [ -z "${CAUSERIE_TEST_POSTGRES_URL:-}" ] || return 0
  local port as=()
  postgres_folder="$(mktemp -d)"
  if [ "$(id -u)" -eq 0 ]; then # the server refuses to run as root
    chown postgres "$postgres_folder"
    as=(runuser -u postgres --)
  fi
  postgres_stop=("${as[@]}" "$(postgres_bin)/pg_ctl" --pgdata "$postgres_folder/data" --silent
    --mode=immediate stop)
  trap stop_postgres EXIT
  port="$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')"
  echo "Starting PostgreSQL on port $port."
  # Sorted as people do, not as bytes: the store must not depend on it. Nothing outlives the tests,
  # so nothing waits for the disk (-F).
  (
    cd "$postgres_folder"
    "${as[@]}" "$(postgres_bin)/initdb" --pgdata="$postgres_folder/data" --username=causerie \
      --auth=trust --encoding=UTF8 --locale=C.UTF-8 --locale-provider=icu --icu-locale=en \
      --no-sync >initdb.log 2>&1 || { cat initdb.log >&2 && exit 1; }
    "${as[@]}" "$(postgres_bin)/pg_ctl" --pgdata="$postgres_folder/data" --silent --wait \
      --log="$postgres_folder/data/server.log" \
      --options="-F -p $port -c listen_addresses=127.0.0.1 -k $postgres_folder" start >/dev/null \
      || { cat "$postgres_folder/data/server.log" >&2 && exit 1; }
  )
  export CAUSERIE_TEST_POSTGRES_URL="postgresql://causerie@127.0.0.1:$port/postgres"
}

stop_postgres() {
  (cd / && "${postgres_stop[@]}") || true
  rm -rf "$postgres_folder"
}
