package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// setScalar reads one scalar, strictly, into v. The text comes from the file,
// the environment or a flag: the same words are right and wrong in all three.
func setScalar(s *shape, raw string, v reflect.Value) error {
	if (s.kind == text || s.kind == object) && strings.ContainsFunc(raw, unicode.IsControl) {
		return errors.New("must not hold a control character")
	}
	switch s.kind {
	case text:
		v.SetString(raw)
		return nil
	case word, object:
		return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(raw))
	case integer:
		return setInteger(raw, v)
	case boolean:
		return setBoolean(raw, v)
	case duration:
		d, err := ParseDuration(raw)
		v.SetInt(int64(d))
		return err
	}
	return fmt.Errorf("must be %s", s)
}

// setInteger takes decimal digits alone. Not 0x10, 010 or 1_000: YAML 1.1,
// YAML 1.2 and the reader of the file make different numbers of them.
func setInteger(raw string, v reflect.Value) error {
	n, err := strconv.ParseInt(raw, 10, v.Type().Bits())
	switch {
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%s is too large", raw)
	case err != nil || strconv.FormatInt(n, 10) != raw:
		return fmt.Errorf("must be a whole number in decimal digits, not %q", raw)
	}
	v.SetInt(n)
	return nil
}

// setBoolean takes the two words that every version of YAML takes for the same.
// yes and off are booleans in YAML 1.1 and texts in 1.2.
func setBoolean(raw string, v reflect.Value) error {
	switch raw {
	case "true", "false":
		v.SetBool(raw == "true")
		return nil
	case "yes", "on", "True", "TRUE", "Yes", "YES", "On", "ON", "1":
		return fmt.Errorf("must be true or false: write true for %s", raw)
	case "no", "off", "False", "FALSE", "No", "NO", "Off", "OFF", "0":
		return fmt.Errorf("must be true or false: write false for %s", raw)
	}
	return fmt.Errorf("must be true or false, not %q", raw)
}

// durationForm is days and then Go's units, at least one of either.
const durationForm = `^([0-9]{1,6}d)?([0-9]{1,9}(\.[0-9]{1,9})?(ns|us|µs|ms|s|m|h))*$`

var durations = regexp.MustCompile(durationForm)

// ParseDuration reads Go's durations with days before them: 90s, 1h30m, 7d,
// 1d12h. A day is 24 hours. A number without a unit is refused, since one
// reader takes it for seconds and the next for milliseconds.
func ParseDuration(raw string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(raw, 64); err == nil {
		return 0, fmt.Errorf("%s needs a unit: write %sm or %ss", raw, raw, raw)
	}
	if raw == "" || !durations.MatchString(raw) {
		return 0, fmt.Errorf("must be a duration such as 90s, 15m, 12h or 7d, not %q", raw)
	}
	var total time.Duration
	if days, rest, ok := strings.Cut(raw, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n > maxDays {
			return 0, fmt.Errorf("%s is too long", raw)
		}
		total, raw = time.Duration(n)*24*time.Hour, rest
	}
	if raw == "" {
		return total, nil
	}
	rest, err := time.ParseDuration(raw)
	if err != nil || rest > maxDays*24*time.Hour {
		return 0, fmt.Errorf("%s is too long", raw)
	}
	return total + rest, nil
}

// maxDays is the longest duration: a hundred years, well inside int64.
const maxDays = 36500
