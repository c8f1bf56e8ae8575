package gateway

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// frame is a frame with a payload of a length, as its sender writes it.
func frame(first byte, length int, masked bool) []byte {
	b := []byte{first}
	bit := byte(0)
	if masked {
		bit = frameMasked
	}
	switch {
	case length < length16:
		b = append(b, bit|byte(length))
	case length < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, bit|length16), uint16(length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, bit|length64), uint64(length))
	}
	if masked {
		b = append(b, 1, 2, 3, 4)
	}
	return append(b, bytes.Repeat([]byte{0xff}, length)...)
}

func TestFramesEndWhereTheyEndHoweverTheyArrive(t *testing.T) {
	for _, test := range []struct {
		name   string
		frame  []byte
		closes bool
	}{
		{"an empty text", frame(0x81, 0, false), false},
		{"a short text", frame(0x81, 5, false), false},
		{"the longest short one", frame(0x82, 125, true), false},
		{"the shortest of two bytes", frame(0x82, 126, false), false},
		{"the longest of two bytes", frame(0x02, 1<<16-1, true), false},
		{"the shortest of eight bytes", frame(0x80, 1<<16, true), false},
		{"an empty ping", frame(0x89, 0, true), false},
		{"a close frame", frame(0x88, 2, true), true},
		{"one without a code", frame(0x88, 0, false), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, step := range []int{1, 2, 3, 7, 1 << 20} {
				var f frames
				for at := 0; at < len(test.frame); {
					if at > 0 == f.between() {
						t.Fatalf("after %d of %d bytes: between frames %v", at, len(test.frame), f.between())
					}
					at += f.take(test.frame[at:min(at+step, len(test.frame))])
				}
				if !f.between() || f.closed != test.closes {
					t.Errorf("by %d: between frames %v, closed %v", step, f.between(), f.closed)
				}
			}
		})
	}
}

func TestOneStepEndsWithOneFrame(t *testing.T) {
	two := slices.Concat(frame(0x81, 3, false), frame(0x88, 2, false), []byte("more"))
	var f frames
	if n := f.take(two); n != 5 || !f.between() || f.closed {
		t.Errorf("the first frame: %d bytes, closed %v", n, f.closed)
	}
	if n := f.take(two[5:]); n != 4 || !f.between() || !f.closed {
		t.Errorf("the second frame: %d bytes, closed %v", n, f.closed)
	}
}

func TestAFrameWithoutAnEndNeverEnds(t *testing.T) {
	f := frames{}
	f.takeAll(append([]byte{0x82, frameMasked | length64}, bytes.Repeat([]byte{0xff}, 1<<16)...))
	if f.between() {
		t.Error("a length that overflows with the mask ends somewhere")
	}
}

func TestACloseFrameIsOneFrame(t *testing.T) {
	for _, masked := range []bool{false, true} {
		b := closeFrame(closingDown, masked)
		var f frames
		if n := f.take(b); n != len(b) || !f.between() || !f.closed || b[1]&frameMasked != 0 != masked {
			t.Fatalf("masked %v: %d of %d bytes, closed %v", masked, n, len(b), f.closed)
		}
		payload := b[2:]
		if masked {
			payload = nil
			for i, c := range b[6:] {
				payload = append(payload, c^b[2+i%maskLength])
			}
		}
		if code := binary.BigEndian.Uint16(payload); code != 1001 || string(payload[2:]) != closingDown.String() || len(payload) > 125 {
			t.Errorf("masked %v: code %d, %q", masked, code, payload[2:])
		}
	}
	if closing(0).String() != "" || closingSession.String() == "" {
		t.Error("only what ends a stream has words")
	}
}

// FuzzFrames cuts whatever a peer may send into pieces at two places: where it is
// cut changes nothing, and no byte is skipped.
func FuzzFrames(f *testing.F) {
	f.Add(slices.Concat(frame(0x81, 3, true), frame(0x01, 300, false), frame(0x88, 2, true)), 1, 9)
	f.Add(frame(0x82, 1<<16, true), 3, 9)
	f.Fuzz(func(t *testing.T, stream []byte, a, b int) {
		var whole, pieces frames
		whole.takeAll(stream)
		a, b = cutAt(a, len(stream)), cutAt(b, len(stream))
		a, b = min(a, b), max(a, b)
		for _, piece := range [][]byte{stream[:a], stream[a:b], stream[b:]} {
			for len(piece) > 0 {
				n := pieces.take(piece)
				if n < 1 || n > len(piece) || n < len(piece) && !pieces.between() {
					t.Fatalf("%d of %d bytes, between %v", n, len(piece), pieces.between())
				}
				piece = piece[n:]
			}
		}
		if whole != pieces {
			t.Errorf("whole %+v, in pieces %+v", whole, pieces)
		}
	})
}

// cutAt is a place within a length, of any number.
func cutAt(n, length int) int { return int(uint(n) % uint(length+1)) }
