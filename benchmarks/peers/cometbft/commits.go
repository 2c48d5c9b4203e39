package main

import (
	"encoding/binary"
	"sync"
	"time"
)

// maxBehind is how many blocks a listener may lag before its stream is ended: nobody slows a node down by not reading.
const maxBehind = 4096

// commits tells listeners about blocks, in one binary record each, all numbers big-endian:
//
//	8 bytes height | 8 bytes nanoseconds since 1970, when state was written | 4 bytes count | count nonces of 8 bytes
type commits struct {
	mutex     sync.Mutex
	listeners map[chan []byte]struct{}
}

func newCommits() *commits { return &commits{listeners: map[chan []byte]struct{}{}} }

func (c *commits) listen() chan []byte {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	listener := make(chan []byte, maxBehind)
	c.listeners[listener] = struct{}{}
	return listener
}

func (c *commits) leave(listener chan []byte) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.listeners, listener)
}

// publish leaves empty blocks out: a listener wants transactions, and some settings make dozens a second.
func (c *commits) publish(height int64, at time.Time, txs [][]byte) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(txs) == 0 || len(c.listeners) == 0 {
		return
	}
	record := make([]byte, 0, 20+nonceSize*len(txs))
	record = binary.BigEndian.AppendUint64(record, uint64(height))
	record = binary.BigEndian.AppendUint64(record, uint64(at.UnixNano()))
	record = binary.BigEndian.AppendUint32(record, uint32(len(txs)))
	for _, tx := range txs {
		record = append(record, nonceOf(tx)...)
	}
	for listener := range c.listeners {
		select {
		case listener <- record:
		default:
			delete(c.listeners, listener)
			close(listener)
		}
	}
}
