package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	dbm "github.com/cometbft/cometbft-db"
	"github.com/cometbft/cometbft/types"
)

func transactions(t *testing.T, count int) [][]byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "transactions")
	if err := generate(count, 1, 2, 10, path); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	txs, err := splitBatch(body)
	if err != nil || len(txs) != count {
		t.Fatal(len(txs), err)
	}
	return txs
}

func memoryApplication(mempoolSize int) *application {
	return newApplication(&state{db: dbm.NewMemDB(), hash: make([]byte, 32)}, mempoolSize, true)
}

func TestEveryChangedByteIsRefused(t *testing.T) {
	app, tx := memoryApplication(10), transactions(t, 1)[0]
	for at := range tx {
		changed := slices.Clone(tx)
		changed[at] ^= 1
		if got := app.insert(changed, true); got != refused {
			t.Fatalf("byte %d changed: %d", at, got)
		}
	}
	for _, other := range [][]byte{nil, tx[:257], append(slices.Clone(tx), 0)} {
		if app.insert(other, true) != refused {
			t.Fatalf("%d bytes are taken", len(other))
		}
	}
	if app.insert(tx, true) != accepted || app.insert(tx, false) != known {
		t.Fatal("the transaction itself is accepted once")
	}
}

func TestThePoolKeepsOrderAndSizeAndWhatIsLocal(t *testing.T) {
	app, txs := memoryApplication(5), transactions(t, 6)
	for i, tx := range txs[:5] {
		app.insert(tx, i%2 == 0)
	}
	if app.insert(txs[5], true) != full {
		t.Fatal("the pool has room for five")
	}
	if got := len(app.pool.reap()); got != 3 || len(app.pool.reap()) != 0 {
		t.Fatalf("local ones are handed out once: %d", got)
	}
	app.pool.remove([]transactionHash{hashOf(txs[0]), hashOf(txs[2])})
	if app.insert(txs[0], true) != known {
		t.Fatal("what is committed is known")
	}
	size := types.ComputeProtoSizeForTxs([]types.Tx{txs[1], txs[3]})
	if got := app.pool.propose(size); len(got) != 2 || &got[0][0] != &txs[1][0] || &got[1][0] != &txs[3][0] {
		t.Fatalf("the oldest two fit: %d", len(got))
	}
	if got := app.pool.propose(size - 1); len(got) != 1 {
		t.Fatalf("one byte less, one transaction less: %d", len(got))
	}
}

func TestTheStateIsTheSameAfterItIsOpenedAgain(t *testing.T) {
	directory, txs := t.TempDir(), transactions(t, 50)
	first, err := openState(directory)
	if err != nil {
		t.Fatal(err)
	}
	first.begin(1, len(txs))
	answers := make([]answer, len(txs))
	for i, tx := range txs {
		if answers[i], err = first.apply(tx, hashOf(tx)); err != nil {
			t.Fatal(err)
		}
	}
	hash := first.finish(answers)
	if err := first.commit(); err != nil {
		t.Fatal(err)
	}
	first.begin(2, 0)
	if !slices.Equal(first.finish(nil), hash) {
		t.Fatal("an empty block changes the application hash")
	}
	if err := first.db.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := openState(directory)
	if err != nil {
		t.Fatal(err)
	}
	defer again.db.Close()
	if again.height != 1 || again.committed != 50 || !slices.Equal(again.hash, hash) {
		t.Fatal(again.height, again.committed, again.hash)
	}
}

func TestWhoDoesNotReadIsLeftBehind(t *testing.T) {
	blocks, txs := newCommits(), transactions(t, 1)
	listener := blocks.listen()
	for height := range int64(maxBehind + 1) {
		blocks.publish(height, time.Now(), txs)
	}
	count := 0
	for range listener { // Ends only because the stream was closed.
		count++
	}
	if count != maxBehind {
		t.Fatal(count)
	}
	blocks.leave(listener)
}
