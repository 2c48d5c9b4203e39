package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
)

// generateChunk transactions are signed by one goroutine before they are written, in order.
const generateChunk = 4096

// generate writes signed transactions, each behind its length: any run of whole ones is the body of a batch. The same
// seed gives the same bytes; different seeds give different keys and nonces.
func generate(count int, seed uint64, signers, records int, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, 1<<20)
	keys := signingKeys(seed, signers)
	workers := runtime.GOMAXPROCS(0)
	for first := 0; first < count; first += workers * generateChunk {
		chunks := make([][]byte, workers)
		var wait sync.WaitGroup
		for i := range chunks {
			from := min(count, first+i*generateChunk)
			to := min(count, from+generateChunk)
			wait.Go(func() { chunks[i] = signed(seed, keys, records, from, to) })
		}
		wait.Wait()
		for _, chunk := range chunks {
			if _, err := out.Write(chunk); err != nil {
				return err
			}
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return file.Close()
}

func signingKeys(seed uint64, signers int) []ed25519.PrivateKey {
	keys := make([]ed25519.PrivateKey, signers)
	for i := range keys {
		secret := sha256.Sum256(numbers('k', seed, uint64(i)))
		keys[i] = ed25519.NewKeyFromSeed(secret[:])
	}
	return keys
}

// signed makes the transactions from..to. The seed is the upper 24 bits of every nonce, so runs do not collide.
func signed(seed uint64, keys []ed25519.PrivateKey, records, from, to int) []byte {
	chunk := make([]byte, 0, (to-from)*(prefixSize+transactionSize))
	payload := make([]byte, payloadSize)
	for i := from; i < to; i++ {
		random := rand.NewChaCha8(sha256.Sum256(numbers('t', seed, uint64(i))))
		_, _ = random.Read(payload[nonceSize+keySize:])
		binary.BigEndian.PutUint64(payload, seed<<40|uint64(i))
		record := sha256.Sum256(numbers('r', random.Uint64()%uint64(records)))
		copy(payload[nonceSize:], record[:keySize])
		key := keys[i%len(keys)]
		chunk = binary.BigEndian.AppendUint32(chunk, transactionSize)
		chunk = append(chunk, key[32:]...)
		chunk = append(chunk, ed25519.Sign(key, payload)...)
		chunk = append(chunk, payload...)
	}
	return chunk
}

func numbers(tag byte, values ...uint64) []byte {
	bytes := []byte{tag}
	for _, value := range values {
		bytes = binary.BigEndian.AppendUint64(bytes, value)
	}
	return bytes
}
