package main

import (
	"context"
	"sync"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
)

// answer is what became of one transaction: in a batch's answer, in ABCI codes and in the application hash.
type answer byte

const (
	accepted answer = iota
	refused         // Wrong length or wrong signature.
	known           // Waiting or committed already.
	full            // The mempool has no room.
)

// application is the state machine that CometBFT replicates. Without a pool it leaves the mempool to CometBFT.
type application struct {
	abci.BaseApplication
	checker *checker
	pool    *pool
	commits *commits

	mutex sync.Mutex // Guards state: with a lock per connection, /stats and Info come from outside consensus.
	state *state
}

func newApplication(s *state, mempoolSize int, ownsMempool bool) *application {
	app := &application{
		// Twice the mempool: whatever waits or is in a proposal is remembered.
		checker: &checker{good: newRemembered(2 * mempoolSize)},
		commits: newCommits(),
		state:   s,
	}
	if ownsMempool {
		app.pool = newPool(mempoolSize)
	}
	return app
}

func (a *application) Info(context.Context, *abci.RequestInfo) (*abci.ResponseInfo, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return &abci.ResponseInfo{LastBlockHeight: a.state.height, LastBlockAppHash: a.state.hash}, nil
}

func (a *application) InitChain(context.Context, *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return &abci.ResponseInitChain{AppHash: a.state.hash}, nil
}

func (a *application) CheckTx(_ context.Context, request *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	if !a.checker.accepts(request.Tx, hashOf(request.Tx)) {
		return &abci.ResponseCheckTx{Code: uint32(refused)}, nil
	}
	return &abci.ResponseCheckTx{Code: abci.CodeTypeOK}, nil
}

// insert is called by many goroutines at once; the signature is verified outside every lock.
func (a *application) insert(tx []byte, isLocal bool) answer {
	hash := hashOf(tx)
	if a.pool.knows(hash) {
		return known
	}
	if !a.checker.accepts(tx, hash) {
		return refused
	}
	return a.pool.add(tx, hash, isLocal)
}

// InsertTx takes what another validator gossiped.
func (a *application) InsertTx(_ context.Context, request *abci.RequestInsertTx) (*abci.ResponseInsertTx, error) {
	switch code := a.insert(request.Tx, false); code {
	case full:
		return &abci.ResponseInsertTx{Code: abci.CodeTypeRetry}, nil
	default:
		return &abci.ResponseInsertTx{Code: uint32(code)}, nil
	}
}

func (a *application) ReapTxs(context.Context, *abci.RequestReapTxs) (*abci.ResponseReapTxs, error) {
	return &abci.ResponseReapTxs{Txs: a.pool.reap()}, nil
}

func (a *application) PrepareProposal(
	_ context.Context, request *abci.RequestPrepareProposal,
) (*abci.ResponsePrepareProposal, error) {
	if a.pool == nil {
		return &abci.ResponsePrepareProposal{Txs: request.Txs}, nil
	}
	return &abci.ResponsePrepareProposal{Txs: a.pool.propose(request.MaxTxBytes)}, nil
}

func (a *application) ProcessProposal(
	_ context.Context, request *abci.RequestProcessProposal,
) (*abci.ResponseProcessProposal, error) {
	for _, tx := range request.Txs {
		if !a.checker.accepts(tx, hashOf(tx)) {
			return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}, nil
		}
	}
	return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
}

func (a *application) FinalizeBlock(
	_ context.Context, request *abci.RequestFinalizeBlock,
) (*abci.ResponseFinalizeBlock, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.state.begin(request.Height, len(request.Txs))
	answers := make([]answer, len(request.Txs))
	results := make([]*abci.ExecTxResult, len(request.Txs))
	for i, tx := range request.Txs {
		hash := hashOf(tx)
		answers[i] = refused
		// Block sync and replay come here without a proposal: what nobody has checked yet is checked now.
		if a.checker.accepts(tx, hash) {
			var err error
			if answers[i], err = a.state.apply(tx, hash); err != nil {
				return nil, err
			}
		}
		if answers[i] == accepted {
			a.state.changed.txs = append(a.state.changed.txs, tx)
		}
		a.state.changed.hashes = append(a.state.changed.hashes, hash)
		results[i] = &abci.ExecTxResult{Code: uint32(answers[i])}
	}
	return &abci.ResponseFinalizeBlock{TxResults: results, AppHash: a.state.finish(answers)}, nil
}

func (a *application) Commit(context.Context, *abci.RequestCommit) (*abci.ResponseCommit, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	decided := a.state.changed
	if err := a.state.commit(); err != nil {
		return nil, err
	}
	a.commits.publish(decided.height, time.Now(), decided.txs)
	if a.pool != nil {
		a.pool.remove(decided.hashes)
	}
	return &abci.ResponseCommit{}, nil
}
