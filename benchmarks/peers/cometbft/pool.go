package main

import "sync"

type pending struct {
	hash transactionHash
	tx   []byte
}

// pool is the application's own mempool, for CometBFT's mempool type "app": transactions in order of arrival until a
// block has them. Only what came in at this node is handed out for gossip: with every validator connected to every
// other, passing on what a neighbour sent would be a second copy for everybody.
type pool struct {
	mutex     sync.Mutex
	size      int
	waiting   map[transactionHash]struct{}
	committed *remembered
	queue     []pending // May hold what is no longer waiting: those are left out on the way.
	fresh     [][]byte
}

func newPool(size int) *pool {
	return &pool{size: size, waiting: map[transactionHash]struct{}{}, committed: newRemembered(size)}
}

func (p *pool) knows(hash transactionHash) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	_, found := p.waiting[hash]
	return found || p.committed.has(hash)
}

func (p *pool) add(tx []byte, hash transactionHash, isLocal bool) answer {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if _, found := p.waiting[hash]; found || p.committed.has(hash) {
		return known
	}
	if len(p.waiting) >= p.size {
		return full
	}
	p.waiting[hash] = struct{}{}
	p.queue = append(p.queue, pending{hash, tx})
	if isLocal {
		p.fresh = append(p.fresh, tx)
	}
	return accepted
}

// reap gives what arrived at this node since the last call.
func (p *pool) reap() [][]byte {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	fresh := p.fresh
	p.fresh = nil
	return fresh
}

// propose gives the oldest transactions that fit; they stay until a block with them is decided.
func (p *pool) propose(maxBytes int64) [][]byte {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	var txs [][]byte
	for _, entry := range p.queue {
		if _, found := p.waiting[entry.hash]; !found {
			continue
		}
		maxBytes -= protoSize(len(entry.tx))
		if maxBytes < 0 {
			break
		}
		txs = append(txs, entry.tx)
	}
	return txs
}

func (p *pool) remove(hashes []transactionHash) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, hash := range hashes {
		delete(p.waiting, hash)
		p.committed.add(hash)
	}
	// Only when more than half of the queue is gone: each transaction is moved about once in its life.
	if len(p.queue) < 2*len(p.waiting) {
		return
	}
	kept := make([]pending, 0, len(p.waiting))
	for _, entry := range p.queue {
		if _, found := p.waiting[entry.hash]; found {
			kept = append(kept, entry)
		}
	}
	p.queue = kept
}

func (p *pool) len() int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return len(p.waiting)
}

// protoSize is what CometBFT counts for a transaction in a block: a field tag, its length as a varint, and the bytes.
func protoSize(size int) int64 {
	length := 1
	for rest := size; rest >= 0x80; rest >>= 7 {
		length++
	}
	return int64(1 + length + size)
}
