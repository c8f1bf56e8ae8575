package auth

import (
	"bytes"
	"crypto/sha1" // the list's own digest; nothing is protected by it
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// A list of breached passwords is a text file as the Pwned Passwords downloader
// writes it: SHA-1 digests in upper case with a count, sorted, one to a line.
//
//	000000005AD76BD555C1D6D771DE417A4B87E4B4:10
//	00000000A8DAE4228F821FB418F59826079BF368:4
//
// It has a billion lines, so it is searched where it lies. Nobody outside is
// ever asked about a password.
const (
	digestLen = 40 // of a SHA-1 in hexadecimal digits
	maxEntry  = 64 // of a line with its end: a digest, a colon, a count of at most 20 digits
)

// errNoList says that a file is not a list as above.
var errNoList = errors.New("is no sorted list of SHA-1 digests, one HASH:COUNT to a line")

// breachedList looks digests up in an open list.
type breachedList struct {
	file io.ReaderAt
	size int64
}

// openBreached opens a list; the caller closes the file. It is opened for each
// new password: those are rare, and so a list that was replaced is the one that
// counts at once.
func openBreached(path string) (breachedList, *os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return breachedList{}, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is no regular file")
	}
	if err != nil {
		return breachedList{}, nil, errors.Join(err, file.Close())
	}
	return breachedList{file: file, size: info.Size()}, file, nil
}

// checkBreached says what is wrong with a list, as far as three of its lines
// tell: the first, the last and the one in the middle must be in order.
func checkBreached(path string) (err error) {
	list, file, err := openBreached(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	last := ""
	for _, at := range []int64{0, list.size / 2, list.size - 1} {
		if list.size == 0 {
			return errNoList
		}
		e, err := list.entryAt(at, 0)
		if err != nil {
			return err
		}
		if e.digest < last {
			return errNoList
		}
		last = e.digest
	}
	return nil
}

// isBreached reports whether a password is on the list at path.
func isBreached(path, password string) (found bool, err error) {
	list, file, err := openBreached(path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	sum := sha1.Sum([]byte(password))
	return list.has(strings.ToUpper(hex.EncodeToString(sum[:])))
}

// has searches for a digest by halving: the line that has it begins at low or
// after it, and before high. A line that cannot be read is an error, never "not
// on the list".
func (l breachedList) has(digest string) (bool, error) {
	low, high := int64(0), l.size
	for low < high {
		e, err := l.entryAt(low+(high-low)/2, low)
		switch {
		case err != nil:
			return false, err
		case e.digest == digest:
			return true, nil
		case e.digest < digest:
			low = e.end
		default:
			high = e.start
		}
	}
	return false, nil
}

// entry is a line of the list and where it stands: from start, up to end.
type entry struct {
	digest     string
	start, end int64
}

// entryAt reads the line that the byte at pos belongs to. low is where a line
// is known to begin, at or before pos.
func (l breachedList) entryAt(pos, low int64) (entry, error) {
	from := max(low, pos-maxEntry)
	buf := make([]byte, min(l.size, pos+maxEntry)-from)
	if _, err := l.file.ReadAt(buf, from); err != nil && !errors.Is(err, io.EOF) {
		return entry{}, err
	}
	at := int(pos - from)
	begin := bytes.LastIndexByte(buf[:at], '\n') + 1
	if begin == 0 && from != low {
		return entry{}, errNoList // longer than any line of a list
	}
	text := buf[begin:]
	length := bytes.IndexByte(text, '\n') + 1
	if length == 0 {
		if from+int64(len(buf)) < l.size {
			return entry{}, errNoList
		}
		length = len(text) // the last line may lack its end
	}
	digest, ok := digestOf(string(text[:length]))
	if !ok {
		return entry{}, errNoList
	}
	start := from + int64(begin)
	return entry{digest: digest, start: start, end: start + int64(length)}, nil
}

// digestOf reads one line of the list: HASH:COUNT.
func digestOf(line string) (string, bool) {
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	digest, count, ok := strings.Cut(line, ":")
	if !ok || len(digest) != digestLen || strings.Trim(digest, "0123456789ABCDEF") != "" {
		return "", false
	}
	return digest, count != "" && strings.Trim(count, "0123456789") == ""
}

// breachedFault is the configuration's word on a list that cannot be used.
func breachedFault(path string) string {
	if path == "" {
		return ""
	}
	if err := checkBreached(path); err != nil {
		return fmt.Sprintf("%s cannot be used: %v", path, err)
	}
	return ""
}
