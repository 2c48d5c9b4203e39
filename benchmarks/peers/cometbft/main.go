// Peer is what Commonweal is measured against: CometBFT with a small application in the same process, in three
// settings, fed by batches over HTTP so that handing transactions over costs it as little as possible.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

const usage = `peer init --home DIR --base-port P [--validators 4] [--setting default|tuned|tuned-app-mempool]
peer run --home DIR/node0 [--tied]
peer generate --out FILE --count N [--seed 1] [--signers 100] [--records 100000]`

func main() {
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func command(arguments []string) error {
	if len(arguments) == 0 {
		return errors.New("what to do?\n" + usage)
	}
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprintln(os.Stderr, usage) }
	home := flags.String("home", "", "directory of the network, or of one node")
	validators := flags.Int("validators", 4, "how many nodes")
	basePort := flags.Int("base-port", 0, "two ports per node from here on")
	setting := flags.String("setting", "default", "default, tuned or tuned-app-mempool")
	tied := flags.Bool("tied", false, "stop when standard input ends: a parent that dies leaves no node behind")
	count := flags.Int("count", 0, "how many transactions")
	seed := flags.Uint64("seed", 1, "makes other keys and nonces; below 2^24")
	signers := flags.Int("signers", 100, "how many keys sign, in turn")
	records := flags.Int("records", 100_000, "how many records the transactions touch, at random")
	out := flags.String("out", "", "file for the transactions")
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	switch arguments[0] {
	case "init":
		if *home == "" || *validators < 1 || *basePort < 1024 || *basePort+2**validators > 65_536 {
			return errors.New("init needs --home, at least one validator and ports between 1024 and 65535")
		}
		return initialize(*home, *validators, *basePort, *setting)
	case "run":
		if *home == "" {
			return errors.New("run needs --home, the directory of one node")
		}
		return run(*home, *tied)
	case "generate":
		if *out == "" || *count < 1 || *signers < 1 || *records < 1 || *seed >= 1<<24 {
			return errors.New("generate needs --out and --count, and a seed below 2^24")
		}
		return generate(*count, *seed, *signers, *records, *out)
	}
	return fmt.Errorf("no command %q\n%s", arguments[0], usage)
}
