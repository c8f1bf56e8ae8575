#!/bin/sh
# Says which request it took this one for. Apache's own log writes it down. Below
# /early it answers before it has read the body.
case "$REQUEST_URI" in
*/early*) ;;
*) cat >/dev/null ;;
esac
printf 'Content-Type: text/plain\r\n\r\ntook %s %s' "$REQUEST_METHOD" "$REQUEST_URI"
