package config

import (
	"fmt"
	"reflect"
	"regexp"
	"testing"
	"time"
)

func TestDurationsAreReadWithTheirUnitsAndDays(t *testing.T) {
	for _, test := range []struct {
		text string
		want time.Duration
	}{
		{"0s", 0}, {"90s", 90 * time.Second}, {"15m", 15 * time.Minute}, {"1h30m", 90 * time.Minute}, {"1.5h", 90 * time.Minute},
		{"250ms", 250 * time.Millisecond}, {"10us", 10 * time.Microsecond}, {"10µs", 10 * time.Microsecond}, {"5ns", 5},
		{"7d", 7 * 24 * time.Hour}, {"1d12h", 36 * time.Hour}, {"0d", 0}, {"36500d", 36500 * 24 * time.Hour},
	} {
		if got, err := ParseDuration(test.text); err != nil || got != test.want {
			t.Errorf("%s: %v, %v, want %v", test.text, got, err, test.want)
		}
	}
	for _, text := range []string{
		"", " ", "d", "7", "0", "1.5", "1e3", "7 d", " 7d", "7d ", "7D", "7days", "1h2d", "1d1d", "-7d", "+7d", "1.5d", "7d5", "36501d", "999999d",
		"876001h", "99999999999999999999s", "9999999999h", "1y", "2w", "1h-5m", "NaN", "Inf", "0x10s", "1_000s", "７d", "7d\n",
	} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q was taken, for %v", text, got)
		}
	}
}

func TestDurationsAreShownAsTheyAreRead(t *testing.T) {
	for _, text := range []string{"30s", "15m", "1h", "1h30m", "12h", "7d", "365d", "1h30m5s", "250ms", "0s", "10m", "20s"} {
		d, err := ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := formatDuration(d); got != text {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
}

// FuzzDuration: what is taken is never negative, never longer than the longest,
// and is of the form that the schema describes.
func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"15m", "7d", "1d12h", "15", "-5m", "999999d", "1.5h", "µs"} {
		f.Add(seed)
	}
	form := regexp.MustCompile(durationForm)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			return
		}
		if d < 0 || d > 2*maxDays*24*time.Hour {
			t.Fatalf("%q is %v", text, d)
		}
		if len(text) < 2 || !form.MatchString(text) {
			t.Fatalf("%q was taken, and the schema refuses it", text)
		}
		if again, err := ParseDuration(formatDuration(d)); err != nil || again != d {
			t.Fatalf("%q is %v, shown as %s, which is %v, %v", text, d, formatDuration(d), again, err)
		}
	})
}

// The environment and the flags can give every scalar and every list of
// scalars, and what they give arrives, whatever its kind.
func TestEveryKeyCanComeFromEnvironmentAndFlag(t *testing.T) {
	sample := map[kind]string{text: "sample", word: "64KiB", integer: "17", boolean: "true", duration: "3d"}
	for _, k := range settableKeys(fileShape(), "", nil) {
		raw := sample[k.shape.kind]
		if k.shape.kind == list {
			raw = "one, two"
		}
		for name, src := range map[string]Source{
			"environment": {Env: []string{k.env() + "=" + raw}},
			"flag":        {Flags: map[string]string{k.path: raw}, Env: []string{k.env() + "=" + raw + "x"}},
		} {
			file, findings := readSource(src)
			if file == nil {
				t.Errorf("%s from the %s: %v", k.path, name, findings)
				continue
			}
			got := reflect.ValueOf(file).Elem().FieldByIndex(k.index)
			want := map[kind]any{text: "sample", integer: int64(17), boolean: true, duration: int64(72 * time.Hour), word: int64(64 << 10), list: "[one two]"}[k.shape.kind]
			if fmt.Sprint(plain(got)) != fmt.Sprint(want) {
				t.Errorf("%s from the %s: %v, want %v", k.path, name, got, want)
			}
		}
	}
}

// plain is a value without its type.
func plain(v reflect.Value) any {
	if v.CanInt() {
		return v.Int()
	}
	return v.Interface()
}
