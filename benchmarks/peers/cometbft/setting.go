package main

import (
	"fmt"
	"time"

	cfg "github.com/cometbft/cometbft/config"
)

const tunedMempoolSize = 100_000

// settings are the three in which the peer is measured. None of them touches the synced log of votes.
var settings = map[string]func(*cfg.Config){
	"default":           func(*cfg.Config) {},
	"tuned":             tuned,
	"tuned-app-mempool": tunedAppMempool,
}

func configFor(setting string) (*cfg.Config, error) {
	apply, found := settings[setting]
	if !found {
		return nil, fmt.Errorf("no setting %q: default, tuned or tuned-app-mempool", setting)
	}
	config := cfg.DefaultConfig()
	config.LogLevel = "error" // A line per step of consensus is work that nobody reads here.
	config.RPC.ListenAddress = ""
	config.P2P.PexReactor = false
	config.P2P.AddrBookStrict = false
	config.P2P.AllowDuplicateIP = true
	apply(config)
	return config, config.ValidateBasic()
}

func tuned(config *cfg.Config) {
	config.Consensus.SkipTimeoutCommit = true
	config.Consensus.TimeoutCommit = 0
	config.Consensus.CreateEmptyBlocks = false
	config.Consensus.PeerGossipSleepDuration = 5 * time.Millisecond // 2 ms costs throughput.
	config.P2P.FlushThrottleTimeout = time.Millisecond
	config.P2P.MaxPacketMsgPayloadSize = 64 << 10
	config.P2P.SendRate = 500_000_000
	config.P2P.RecvRate = 500_000_000
	config.Mempool.Size = tunedMempoolSize
	config.Mempool.CacheSize = 2 * tunedMempoolSize
	config.Mempool.Recheck = false
	config.TxIndex.Indexer = "null"
}

func tunedAppMempool(config *cfg.Config) {
	tuned(config)
	config.Mempool.Type = cfg.MempoolTypeApp
	config.Mempool.ReapInterval = 5 * time.Millisecond
	// This mempool never says that there is something to propose: without empty blocks the chain would stand still.
	config.Consensus.CreateEmptyBlocks = true
}
