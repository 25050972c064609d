package onion

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// circuitCount is what GETINFO circuit-status tells of one service.
type circuitCount struct {
	joined, joining int
	intro           int      // established introduction circuits
	introIDs        []string // all of them, those under way included
	paid, topEffort int
}

// parseCircuits reads the answer to GETINFO circuit-status (control-spec,
// CIRC) and counts the circuits that belong to the service id, an address
// without ".onion". What it cannot make sense of it leaves out.
func parseCircuits(text, id string) circuitCount {
	var n circuitCount
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		number, rest, _ := strings.Cut(line, " ")
		args := parseArgs(rest)
		if id == "" || args["REND_QUERY"] != id {
			continue
		}
		switch args["PURPOSE"] {
		case "HS_SERVICE_REND":
			switch args["HS_STATE"] {
			case "HSSR_JOINED":
				n.joined++
			case "HSSR_CONNECTING":
				n.joining++
			default:
				continue
			}
			if text, ok := strings.CutPrefix(args["HS_POW"], "v1,"); ok {
				if effort, err := strconv.ParseUint(text, 10, 32); err == nil && effort > 0 {
					n.paid++
					n.topEffort = max(n.topEffort, int(effort))
				}
			}
		case "HS_SERVICE_INTRO":
			if _, err := strconv.ParseUint(number, 10, 64); err != nil {
				continue
			}
			n.introIDs = append(n.introIDs, number)
			if args["HS_STATE"] == "HSSI_ESTABLISHED" {
				n.intro++
			}
		}
	}
	return n
}

// circuits asks Tor for the circuits of our service.
func (s *Service) circuits(ctx context.Context) (circuitCount, error) {
	text, err := s.control.info(ctx, infoCircuits)
	if err != nil {
		return circuitCount{}, fmt.Errorf("circuits: %w", err)
	}
	return parseCircuits(text, strings.TrimSuffix(s.Address(), ".onion")), nil
}
