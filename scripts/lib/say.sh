# What the scripts say to a person. Source it; it sources nothing.
#
#   say TEXT…     a step that begins now, on stderr, so that results alone are on stdout
#   fail TEXT…    why the script cannot go on; ends it with status 1

# The name under which the caller was started, for its messages.
SCRIPT_NAME=${SCRIPT_NAME:-$(basename -- "$0")}

say() {
    if [[ -t 2 ]]; then printf '\033[1m%s:\033[0m %s\n' "$SCRIPT_NAME" "$*" >&2; else printf '%s: %s\n' "$SCRIPT_NAME" "$*" >&2; fi
}

fail() {
    printf '%s: %s\n' "$SCRIPT_NAME" "$*" >&2
    exit 1
}
