package sqlstore

import (
	"context"
	"runtime"
	"sync"
	"testing"
)

func TestWritesThatBeginTogetherAreCommittedTogetherOnOneCore(t *testing.T) {
	s := openNew(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const writes = 64
	commits := map[querier]int{} // by their transaction; the leads take turns
	var all sync.WaitGroup
	for range writes {
		all.Go(func() {
			if err := s.write(context.Background(), func(_ context.Context, q querier) error {
				commits[q.(prepared).Tx]++
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(commits) > writes/4 {
		t.Errorf("%d writes took %d commits", writes, len(commits))
	}
}
