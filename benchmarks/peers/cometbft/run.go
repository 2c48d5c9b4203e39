package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	cfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"
	"github.com/spf13/viper"
)

// run keeps one node going until it is told to stop, or fails, or, if it is tied, its standard input ends.
func run(home string, isTied bool) error {
	config, err := loadConfig(home)
	if err != nil {
		return err
	}
	address, err := os.ReadFile(filepath.Join(home, addressFile))
	if err != nil {
		return err
	}
	state, err := openState(config.DBDir())
	if err != nil {
		return err
	}
	defer state.db.Close()
	ownsMempool := config.Mempool.Type == cfg.MempoolTypeApp
	app := newApplication(state, config.Mempool.Size, ownsMempool)
	validator, err := startNode(config, app, ownsMempool)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", strings.TrimSpace(string(address)))
	if err != nil {
		return errors.Join(err, validator.Stop())
	}
	web := &http.Server{
		Handler:           (&server{app: app, node: validator}).handler(),
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() { _ = web.Serve(listener) }()

	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if isTied {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	select {
	case <-stop.Done():
	case <-validator.Quit():
		return errors.New("the node stopped by itself")
	}
	_ = web.Close()
	err = validator.Stop()
	validator.Wait()
	return err
}

func loadConfig(home string) (*cfg.Config, error) {
	reader := viper.New()
	reader.SetConfigFile(filepath.Join(home, "config", "config.toml"))
	if err := reader.ReadInConfig(); err != nil {
		return nil, err
	}
	config := cfg.DefaultConfig()
	if err := reader.Unmarshal(config); err != nil {
		return nil, err
	}
	config.SetRoot(home)
	return config, config.ValidateBasic()
}

func startNode(config *cfg.Config, app *application, ownsMempool bool) (*node.Node, error) {
	logger, err := log.AllowLevel(config.LogLevel)
	if err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	nodeKey, err := p2p.LoadNodeKey(config.NodeKeyFile())
	if err != nil {
		return nil, err
	}
	// CometBFT's usual way is one lock for the whole application. One lock per connection asks for an application
	// that guards itself, as one with a mempool of its own has to anyhow.
	creator := proxy.NewLocalClientCreator(app)
	if ownsMempool {
		creator = proxy.NewConnSyncLocalClientCreator(app)
	}
	validator, err := node.NewNode(
		config,
		privval.LoadFilePV(config.PrivValidatorKeyFile(), config.PrivValidatorStateFile()),
		nodeKey,
		creator,
		node.DefaultGenesisDocProviderFunc(config),
		cfg.DefaultDBProvider,
		node.DefaultMetricsProvider(config.Instrumentation),
		log.NewFilter(log.NewTMLogger(log.NewSyncWriter(os.Stderr)), logger),
	)
	if err != nil {
		return nil, err
	}
	return validator, validator.Start()
}
