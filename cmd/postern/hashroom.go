package main

import (
	"reflect"
	"runtime/debug"
	"sync/atomic"
)

// roomSize is the memory that a wave of logins goes through: with gcPercent, and
// 19 MiB for each hash, the collector comes after every fifth.
const roomSize = 128 << 20

// hugePage is what a part of memory begins and ends at a multiple of to have no
// page but huge ones, on amd64 and most of arm64.
const hugePage = 2 << 20

// hashRoom is the part of the heap that the memory of password hashes comes
// from: the lowest that is free and large enough, which is where the runtime
// looks first. The pages are huge there while passwords are hashed. In memory
// that was given back a hash is then done in 21 ms of processor time instead of
// 35, since the kernel is asked for 10 pages and not 9,700 times for one (each is
// read before it is written, and asked for twice); in memory that was kept in
// some 5 % less, since it is read all over the place.
//
// At rest they are not: the kernel would make a huge one of every small page that
// anything is left in, within a minute or so, and the gateway would take twice
// the memory.
//
// All of this is advice. Where the runtime takes a hash's memory from elsewhere,
// or the kernel has no huge pages, a hash only takes longer.
type hashRoom struct {
	place mapping
	huge  atomic.Bool
}

// newHashRoom finds the room by taking it once: what comes fresh from the kernel
// takes no memory until it is written. It must come before there is anything
// large in the heap.
func newHashRoom() *hashRoom {
	start := reflect.ValueOf(make([]byte, roomSize)).Pointer()
	debug.FreeOSMemory()
	return &hashRoom{place: mapping{(start + hugePage - 1) &^ (hugePage - 1), (start + roomSize) &^ (hugePage - 1)}}
}

// enlarge is for when a hash begins.
func (r *hashRoom) enlarge() {
	if r.huge.CompareAndSwap(false, true) {
		adviseHuge(r.place, true)
	}
}

// settle gives back what is free in all of the heap. A hash that runs meanwhile
// keeps the memory that it has.
func (r *hashRoom) settle() {
	if r.huge.CompareAndSwap(true, false) {
		adviseHuge(r.place, false)
	}
	debug.FreeOSMemory()
}
