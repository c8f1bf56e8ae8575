package gateway

import (
	"crypto/rand"
	"encoding/binary"
	"math"
)

// Of a frame's first two bytes (RFC 6455 section 5.2).
const (
	frameFinal  = 0x80
	frameOpcode = 0x0f
	frameClose  = 0x08
	frameMasked = 0x80
	frameLength = 0x7f
	length16    = 126 // the length is in the next two bytes
	length64    = 127 // in the next eight
	maskLength  = 4
)

// frames follows one direction of a WebSocket by the lengths of its frames
// alone: where one ends, another may be put in. What the frames say, and
// whether they are any, is not looked at. The zero value is before the first.
type frames struct {
	header [10]byte // of the frame that is on its way, without its mask
	got    int      // bytes of the header; zero: the last frame has ended
	left   uint64   // bytes until the end of the frame, once its header is whole
	closed bool     // a close frame went by: another frame must not follow it
}

// between tells whether no frame is on its way.
func (f *frames) between() bool { return f.got == 0 }

// take goes on to the end of the frame that is on its way, or of p, and answers
// how many bytes of p that is.
func (f *frames) take(p []byte) (n int) {
	for n < len(p) {
		if f.left == 0 {
			f.header[f.got] = p[n]
			f.got++
			n++
			if f.got < f.headerLength() {
				continue
			}
			f.left = f.payload()
		}
		step := min(f.left, uint64(len(p)-n))
		n += int(step)
		if f.left -= step; f.left == 0 {
			f.closed = f.closed || f.header[0]&frameOpcode == frameClose
			f.got = 0
			return n
		}
	}
	return n
}

// takeAll goes on to the end of p, over as many frames as there are.
func (f *frames) takeAll(p []byte) {
	for n := 0; n < len(p); {
		n += f.take(p[n:])
	}
}

// headerLength is how long the header is, without its mask, as far as is known.
func (f *frames) headerLength() int {
	switch {
	case f.got < 2:
		return 2
	case f.header[1]&frameLength == length16:
		return 4
	case f.header[1]&frameLength == length64:
		return 10
	}
	return 2
}

// payload is how much comes after the header: the mask, and what it masks.
func (f *frames) payload() uint64 {
	length := uint64(f.header[1] & frameLength)
	switch length {
	case length16:
		length = uint64(binary.BigEndian.Uint16(f.header[2:]))
	case length64:
		length = min(binary.BigEndian.Uint64(f.header[2:]), math.MaxInt64) // more there cannot be
	}
	if f.header[1]&frameMasked != 0 {
		length += maskLength
	}
	return length
}

// closeFrame ends a WebSocket with a code and the words for it, masked where it
// goes to a server.
func closeFrame(code closing, masked bool) []byte {
	payload := append(binary.BigEndian.AppendUint16(nil, uint16(code)), code.String()...)
	if !masked {
		return append([]byte{frameFinal | frameClose, byte(len(payload))}, payload...)
	}
	var mask [maskLength]byte
	rand.Read(mask[:]) // never fails, see its documentation
	frame := append([]byte{frameFinal | frameClose, frameMasked | byte(len(payload))}, mask[:]...)
	for i, c := range payload {
		frame = append(frame, c^mask[i%maskLength])
	}
	return frame
}

// closing is why the gateway ends a stream, as the code of a close frame (RFC
// 6455 section 7.4.1). The zero value is no reason.
type closing uint16

const (
	closingDown    closing = 1001 // the gateway stops
	closingSession closing = 1008 // the session has ended
)

// String is what the close frame says beside the code.
func (c closing) String() string {
	switch c {
	case closingDown:
		return "the gateway is stopping"
	case closingSession:
		return "the session has ended"
	}
	return ""
}
