package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	dbm "github.com/cometbft/cometbft-db"
)

// A record: how often it was written, the nonce of the last transaction, and that transaction's hash.
const recordSize = 8 + nonceSize + sha256.Size

var (
	headKey      = []byte("head")
	recordPrefix = []byte("r")
)

// state is the key-value state on disk, with the head of the chain as the application knows it.
type state struct {
	db        dbm.DB
	height    int64
	committed uint64
	hash      []byte
	changed   *changes // Decided and not yet written: between FinalizeBlock and Commit.
}

type changes struct {
	height  int64
	written uint64
	hash    []byte
	records map[string][]byte
	order   []string
	txs     [][]byte
	hashes  []transactionHash
}

func openState(directory string) (*state, error) {
	db, err := dbm.NewDB("application", dbm.GoLevelDBBackend, directory)
	if err != nil {
		return nil, err
	}
	s := &state{db: db, hash: make([]byte, sha256.Size)}
	head, err := db.Get(headKey)
	if err != nil || head == nil {
		return s, err
	}
	if len(head) != 16+sha256.Size {
		return nil, fmt.Errorf("the head of the application's state has %d bytes", len(head))
	}
	s.height = int64(binary.BigEndian.Uint64(head))
	s.committed = binary.BigEndian.Uint64(head[8:])
	s.hash = head[16:]
	return s, nil
}

func (s *state) begin(height int64, size int) {
	s.changed = &changes{height: height, records: make(map[string][]byte, size)}
}

// apply reads and writes one record. The answer depends on nothing but the chain, so it is the same on every node.
func (s *state) apply(tx []byte, hash transactionHash) (answer, error) {
	key := string(append(append([]byte{}, recordPrefix...), keyOf(tx)...))
	record, isChanged := s.changed.records[key]
	if !isChanged {
		stored, err := s.db.Get([]byte(key))
		if err != nil {
			return refused, err
		}
		record = make([]byte, recordSize)
		copy(record, stored)
	}
	// Not a whole replay window: CometBFT's cache has caught the others, and a window would cost the peer time.
	if string(record[8:8+nonceSize]) == string(nonceOf(tx)) {
		return known, nil
	}
	binary.BigEndian.PutUint64(record, binary.BigEndian.Uint64(record)+1)
	copy(record[8:], nonceOf(tx))
	copy(record[8+nonceSize:], hash[:])
	if !isChanged {
		s.changed.records[key] = record
		s.changed.order = append(s.changed.order, key)
	}
	s.changed.written++
	return accepted, nil
}

// finish makes the application hash: the one before, the answers in block order, and every record as it is now. An
// empty block leaves it alone, or CometBFT would make the next block to prove the new hash, and so on for ever.
func (s *state) finish(answers []answer) []byte {
	s.changed.hash = s.hash
	if len(answers) > 0 {
		digest := sha256.New()
		digest.Write(s.hash)
		for _, one := range answers {
			digest.Write([]byte{byte(one)})
		}
		for _, key := range s.changed.order {
			digest.Write([]byte(key))
			digest.Write(s.changed.records[key])
		}
		s.changed.hash = digest.Sum(nil)
	}
	return s.changed.hash
}

// commit writes without a sync of its own: CometBFT has synced the block, and plays it again to an application that
// lost the end of its state.
func (s *state) commit() error {
	batch := s.db.NewBatch()
	defer batch.Close()
	for _, key := range s.changed.order {
		if err := batch.Set([]byte(key), s.changed.records[key]); err != nil {
			return err
		}
	}
	head := binary.BigEndian.AppendUint64(nil, uint64(s.changed.height))
	head = binary.BigEndian.AppendUint64(head, s.committed+s.changed.written)
	if err := batch.Set(headKey, append(head, s.changed.hash...)); err != nil {
		return err
	}
	if err := batch.Write(); err != nil {
		return err
	}
	s.height, s.hash = s.changed.height, s.changed.hash
	s.committed += s.changed.written
	s.changed = nil
	return nil
}
