package auth

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestADeviceIsNamedAsItsOwnerWould(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0":                                                                     "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36":                            "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0":              "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15":                      "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1":    "Safari on iPhone",
		"Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1":      "Chrome on iPad",
		"Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36":                      "Chrome on Android",
		"Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36": "Samsung Internet on Android",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36":                             "Chrome on ChromeOS",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 OPR/112.0.0.0":                        "Opera on Linux",
		"Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko":                                                                      "Internet Explorer on Windows",
		"Mozilla/5.0 (compatible; Something/1.0)": "Browser",
		"curl/8.5.0":             "curl",
		"python-requests/2.31.0": "python-requests",
		"axios/1.7.2":            "axios",
		"Go-http-client/1.1":     "Go program",
		"okhttp/4.12.0":          "okhttp",
		"PostmanRuntime/7.39.0":  "PostmanRuntime",
		"Wget/1.21.4 on linux":   "Wget",
		"test browser":           "test browser",
		"A b/1":                  "A b/1",
		"":                       "unknown device",
		"   ":                    "unknown device",
		"/":                      "unknown device",
		strings.Repeat("é", 200): strings.Repeat("é", 32),
	} {
		if got := (Session{UserAgent: agent}).Device(); got != want {
			t.Errorf("%.80q is %q, want %q", agent, got, want)
		}
	}
}

// FuzzDevice gives any name to a device: the answer is short, and no bytes are
// torn apart.
func FuzzDevice(f *testing.F) {
	for _, seed := range []string{"", "/", " / ", "Mozilla/5.0 (Linux)", "Chrome/1", strings.Repeat("ä", 100), "\xff/1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, agent string) {
		got := (Session{UserAgent: agent}).Device()
		if got == "" || len(got) > maxDevice+len(" on Internet Explorer") || utf8.ValidString(agent) && !utf8.ValidString(got) {
			t.Errorf("%q is %q", agent, got)
		}
	})
}
