package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/mempool"
	"github.com/cometbft/cometbft/node"
)

// maxBatchBytes bounds what one request may take of memory: some 60,000 transactions.
const maxBatchBytes = 16 << 20

// server is the peer's own door, in place of CometBFT's JSON-RPC: one request for many transactions, and no base64.
type server struct {
	app  *application
	node *node.Node
}

func (s *server) handler() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("POST /batch", s.batch)
	routes.HandleFunc("GET /stats", s.stats)
	routes.HandleFunc("GET /commits", s.stream)
	return routes
}

// batch answers one byte per transaction, in their order.
func (s *server) batch(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBatchBytes))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	txs, err := splitBatch(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answers := make([]byte, len(txs))
	for i, tx := range txs {
		answers[i] = byte(s.submit(tx))
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(answers)
}

func (s *server) submit(tx []byte) answer {
	if s.app.pool != nil {
		return s.app.insert(tx, true)
	}
	code := uint32(refused)
	// The client is in this process, so the callback has run when CheckTx returns.
	err := s.node.Mempool().CheckTx(tx, func(r *abci.ResponseCheckTx) { code = r.Code }, mempool.TxInfo{})
	var isFull mempool.ErrMempoolIsFull
	switch {
	case errors.Is(err, mempool.ErrTxInCache):
		return known
	case errors.As(err, &isFull):
		return full
	case err != nil:
		return refused
	}
	return answer(code)
}

func (s *server) stats(w http.ResponseWriter, _ *http.Request) {
	s.app.mutex.Lock()
	height, committed, hash := s.app.state.height, s.app.state.committed, hex.EncodeToString(s.app.state.hash)
	s.app.mutex.Unlock()
	waiting := s.node.Mempool().Size()
	if s.app.pool != nil {
		waiting = s.app.pool.len()
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"height":     height,
		"committed":  committed,
		"app_hash":   hash,
		"waiting":    waiting,
		"peers":      s.node.Switch().Peers().Size(),
		"is_syncing": s.node.ConsensusReactor().WaitSync(),
	})
}

func (s *server) stream(w http.ResponseWriter, r *http.Request) {
	listener := s.app.commits.listen()
	defer s.app.commits.leave(listener)
	w.Header().Set("Content-Type", "application/octet-stream")
	control := http.NewResponseController(w)
	// At once, so that the listener knows that no block from here on will be missing.
	w.WriteHeader(http.StatusOK)
	if control.Flush() != nil {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case record, open := <-listener:
			if !open {
				return
			}
			if _, err := w.Write(record); err != nil || control.Flush() != nil {
				return
			}
		}
	}
}
