#!/usr/bin/env bash
# Installs what the tests need and this machine lacks, and nothing else:
#   gcc                       for the race detector
#   chromium, chromedriver    the browser tests
#   node, npm, express        a legacy application in JavaScript
#   node-red, tomcat's examples  applications behind the recipes of deploy/recipes
#   django, gunicorn          a legacy application in Python
#   passlib, php, htpasswd, mkpasswd, openssl  whose password hashes are read
#   nginx, java, tomcat, spring  whose routers the profiles are held against
#   radicale, vdirsyncer, curl  a calendar server, and clients that know Basic
#   mediawiki                 a wiki, with SQLite, under Apache
#   git, fcgiwrap             git's own server, and its clients
#   systemd                   deploy/postern.service, and sockets handed on
#   nginx, caddy, haproxy     front ends that ask about requests (forward-auth)
#   varnish, apache           front ends through which requests are smuggled
#   wrk                       full load, while the configuration changes; and in bench
#   slowhttptest              slow clients of four kinds, for the soak
# With the argument bench also what make bench compares with:
#   apache2 with mod_auth_openidc, nginx with njs
# Made for Debian 12. On another system it names what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

need() { # need COMMAND PACKAGE...: notes the packages when the command is missing
	command -v "$1" >/dev/null 2>&1 || missing+=("${@:2}")
}

missing=()
need gcc gcc libc6-dev
need git git
need chromium chromium
need chromedriver chromium-driver
need node nodejs
need npm npm
need gunicorn gunicorn
need nginx nginx-light
need fcgiwrap fcgiwrap
need caddy caddy
need haproxy haproxy
need wrk wrk
need varnishd varnish
need apache2 apache2-bin
need php php-cli
need curl curl
need vdirsyncer vdirsyncer
need htpasswd apache2-utils
need mkpasswd whois
need openssl openssl
need java default-jre-headless
need systemd-analyze systemd # and systemd-socket-activate
[ -e /var/lib/mediawiki/index.php ] || missing+=(mediawiki)
ls /usr/lib/apache2/modules/libphp*.so >/dev/null 2>&1 || missing+=(libapache2-mod-php)
php -r 'exit(extension_loaded("pdo_sqlite") ? 0 : 1);' 2>/dev/null || missing+=(php-sqlite3)
need slowhttptest slowhttptest
[ -e /usr/share/tomcat10/bin/bootstrap.jar ] || missing+=(tomcat10-common)
[ -e /etc/tomcat10/Catalina/localhost/examples.xml ] || missing+=(tomcat10-examples)
[ -e /usr/share/java/tomcat9-catalina.jar ] || missing+=(libtomcat9-java)
[ -e /usr/share/java/spring3-web.servlet.jar ] || missing+=(libspring-web-servlet-java)
# Debian's modules belong to Debian's interpreter; another python3 may come
# first in PATH.
/usr/bin/python3 -c 'import django' >/dev/null 2>&1 || missing+=(python3 python3-django)
# Not the package radicale, which would start it as a service.
/usr/bin/python3 -c 'import radicale' >/dev/null 2>&1 || missing+=(python3 python3-radicale)
/usr/bin/python3 -c 'import passlib, bcrypt, argon2' >/dev/null 2>&1 || missing+=(python3-passlib python3-bcrypt python3-argon2)
if [ "${1:-}" = bench ]; then
	need apache2 apache2-bin
	[ -e /usr/lib/apache2/modules/mod_auth_openidc.so ] || missing+=(libapache2-mod-auth-openidc)
	[ -e /usr/lib/nginx/modules/ngx_http_js_module.so ] || missing+=(libnginx-mod-http-js)
fi

if ! command -v go >/dev/null 2>&1; then
	echo "setup: there is no go command. Install the Go release that go.mod names or a later one." >&2
	exit 1
fi

if [ "${#missing[@]}" -gt 0 ]; then
	if ! command -v apt-get >/dev/null 2>&1; then
		echo "setup: missing, and there is no apt-get to install them: ${missing[*]}" >&2
		exit 1
	fi
	root=()
	[ "$(id -u)" -eq 0 ] || root=(sudo)
	export DEBIAN_FRONTEND=noninteractive
	echo "setup: installing ${missing[*]}"
	# Another apt may be at work on a machine that has just started.
	wait_for_lock=(-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -qq)
	for try in 1 2 3; do
		if "${root[@]}" apt-get "${wait_for_lock[@]}" update &&
			"${root[@]}" apt-get "${wait_for_lock[@]}" install -y --no-install-recommends "${missing[@]}"; then
			break
		fi
		[ "$try" -lt 3 ] || { echo "setup: apt-get could not install: ${missing[*]}" >&2; exit 1; }
		sleep 10
	done
fi

# Every Node application of the tests, from its lock file.
find e2e -name package-lock.json -not -path '*/node_modules/*' | while read -r lock; do
	dir=$(dirname "$lock")
	if ! cmp -s "$lock" "$dir/node_modules/.installed"; then
		npm ci --prefix "$dir" --no-audit --no-fund --loglevel=error
		cp "$lock" "$dir/node_modules/.installed"
	fi
done
