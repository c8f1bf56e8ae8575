package auth

import "strings"

// maxDevice bounds the name of a device, in bytes.
const maxDevice = 64

// Device names what a session is used from, as its owner would: "Firefox on
// Linux", "Safari on iPhone", "curl". The User-Agent is the client's own word:
// the name is for people who look for a session that is not theirs, and decides
// nothing.
func (r Session) Device() string {
	program, system := programOf(r.UserAgent), systemOf(r.UserAgent)
	switch {
	case program == "":
		return "unknown device"
	case system == "":
		return program
	}
	return program + " on " + system
}

// programOf names the browser or program. Browsers call themselves by the names
// of others for old pages' sake, so the order counts: each stands before those
// that it pretends to be.
func programOf(agent string) string {
	for _, known := range []struct{ token, name string }{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"Vivaldi/", "Vivaldi"},
		{"SamsungBrowser/", "Samsung Internet"}, {"YaBrowser/", "Yandex Browser"}, {"HeadlessChrome/", "Chrome"},
		{"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chromium/", "Chromium"}, {"Chrome/", "Chrome"},
		{"Safari/", "Safari"}, {"Trident/", "Internet Explorer"}, {"Go-http-client/", "Go program"}, {"Dart/", "Dart program"},
	} {
		if strings.Contains(agent, known.token) {
			return known.name
		}
	}
	if strings.HasPrefix(agent, "Mozilla/") {
		return "Browser"
	}
	// A program: the name before its version (RFC 9110 10.1.5).
	name, _, versioned := strings.Cut(agent, "/")
	if !versioned || strings.Contains(name, " ") {
		name = agent
	}
	return strings.TrimSpace(truncate(strings.TrimSpace(name), maxDevice))
}

// systemOf names the system or the device that the program says it runs on.
func systemOf(agent string) string {
	for _, known := range []struct{ token, name string }{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"},
		{"CrOS", "ChromeOS"}, {"Macintosh", "macOS"}, {"Mac OS X", "macOS"}, {"FreeBSD", "FreeBSD"}, {"OpenBSD", "OpenBSD"},
		{"Linux", "Linux"}, {"X11", "Unix"},
	} {
		if strings.Contains(agent, known.token) {
			return known.name
		}
	}
	return ""
}
