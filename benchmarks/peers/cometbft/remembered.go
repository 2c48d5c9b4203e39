package main

import "sync"

// remembered is a set that forgets: two generations of at most `size` hashes, of which the older one is dropped
// when the younger one is full. The last `size` hashes are always in it, and no list has to be kept in order.
type remembered struct {
	mutex          sync.RWMutex
	size           int
	younger, older map[transactionHash]struct{}
}

func newRemembered(size int) *remembered {
	return &remembered{size: size, younger: make(map[transactionHash]struct{}, size)}
}

func (r *remembered) has(hash transactionHash) bool {
	r.mutex.RLock()
	defer r.mutex.RUnlock()
	if _, found := r.younger[hash]; found {
		return true
	}
	_, found := r.older[hash]
	return found
}

func (r *remembered) add(hash transactionHash) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if len(r.younger) >= r.size {
		r.older, r.younger = r.younger, make(map[transactionHash]struct{}, r.size)
	}
	r.younger[hash] = struct{}{}
}

// checker verifies each signature once per node: whoever asks again for the same bytes gets the remembered answer.
type checker struct {
	good *remembered
}

func (c *checker) accepts(tx []byte, hash transactionHash) bool {
	if c.good.has(hash) {
		return true
	}
	if len(tx) != transactionSize || !isSigned(tx) {
		return false
	}
	c.good.add(hash)
	return true
}
