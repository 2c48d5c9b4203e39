package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/cometbft/cometbft/crypto/ed25519"
)

// A transaction has one fixed shape, so that no time goes into parsing:
//
//	32 bytes  public key
//	64 bytes  Ed25519 signature over the payload
//	 8 bytes  nonce, big-endian, unique in a run: what a load generator knows the transaction by
//	16 bytes  key of the record that it reads and writes
//	138 bytes value
const (
	publicKeySize   = 32
	signatureSize   = 64
	nonceSize       = 8
	keySize         = 16
	valueSize       = 138
	payloadSize     = nonceSize + keySize + valueSize
	transactionSize = publicKeySize + signatureSize + payloadSize
	payloadStart    = publicKeySize + signatureSize
	prefixSize      = 4
)

type transactionHash [sha256.Size]byte

var errBatch = errors.New("a batch is a row of transactions, each behind its length in four bytes, big-endian")

func hashOf(tx []byte) transactionHash { return sha256.Sum256(tx) }

func nonceOf(tx []byte) []byte { return tx[payloadStart : payloadStart+nonceSize] }

func keyOf(tx []byte) []byte { return tx[payloadStart+nonceSize : payloadStart+nonceSize+keySize] }

// isSigned takes CometBFT's own Ed25519, which keeps expanded public keys: 25 us where the standard library needs 42.
func isSigned(tx []byte) bool {
	key := ed25519.PubKey(tx[:publicKeySize])
	return key.VerifySignature(tx[payloadStart:], tx[publicKeySize:payloadStart])
}

// splitBatch gives slices of body, none of them copied.
func splitBatch(body []byte) ([][]byte, error) {
	txs := make([][]byte, 0, len(body)/(prefixSize+transactionSize))
	for len(body) > 0 {
		if len(body) < prefixSize {
			return nil, errBatch
		}
		end := prefixSize + int64(binary.BigEndian.Uint32(body))
		if int64(len(body)) < end {
			return nil, errBatch
		}
		txs = append(txs, body[prefixSize:end:end])
		body = body[end:]
	}
	return txs, nil
}
