package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	cfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/types"
)

const directoryMode = 0o700

// addressFile holds where the peer's own HTTP server listens; CometBFT's configuration has no place for it.
const addressFile = "config/http-address"

// initialize writes a network of validators on this machine: node i has ports base+2i (CometBFT) and base+2i+1 (HTTP).
func initialize(home string, validators, basePort int, setting string) error {
	genesis := &types.GenesisDoc{
		ChainID:         "peer",
		GenesisTime:     time.Now(),
		InitialHeight:   1,
		ConsensusParams: types.DefaultConsensusParams(),
	}
	configs := make([]*cfg.Config, validators)
	addresses := make([]string, validators)
	for i := range validators {
		config, err := configFor(setting)
		if err != nil {
			return err
		}
		config.SetRoot(filepath.Join(home, fmt.Sprintf("node%d", i)))
		config.Moniker = fmt.Sprintf("node%d", i)
		config.P2P.ListenAddress = fmt.Sprintf("tcp://127.0.0.1:%d", basePort+2*i)
		id, validator, err := writeKeys(config)
		if err != nil {
			return err
		}
		configs[i] = config
		addresses[i] = fmt.Sprintf("%s@127.0.0.1:%d", id, basePort+2*i)
		genesis.Validators = append(genesis.Validators, *validator)
	}
	for i, config := range configs {
		others := append(append([]string{}, addresses[:i]...), addresses[i+1:]...)
		config.P2P.PersistentPeers = strings.Join(others, ",")
		cfg.WriteConfigFile(filepath.Join(config.RootDir, "config", "config.toml"), config)
		if err := genesis.SaveAs(config.GenesisFile()); err != nil {
			return err
		}
		http := fmt.Sprintf("127.0.0.1:%d\n", basePort+2*i+1)
		if err := os.WriteFile(filepath.Join(config.RootDir, addressFile), []byte(http), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func writeKeys(config *cfg.Config) (p2p.ID, *types.GenesisValidator, error) {
	for _, name := range []string{"config", "data"} {
		if err := os.MkdirAll(filepath.Join(config.RootDir, name), directoryMode); err != nil {
			return "", nil, err
		}
	}
	nodeKey, err := p2p.LoadOrGenNodeKey(config.NodeKeyFile())
	if err != nil {
		return "", nil, err
	}
	signer := privval.LoadOrGenFilePV(config.PrivValidatorKeyFile(), config.PrivValidatorStateFile())
	key, err := signer.GetPubKey()
	if err != nil {
		return "", nil, err
	}
	validator := &types.GenesisValidator{Address: key.Address(), PubKey: key, Power: 1, Name: config.Moniker}
	return nodeKey.ID(), validator, nil
}
