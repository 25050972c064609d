package onion

import "time"

// State is what is known of a service and its Tor at one moment. Nothing in it
// names a client or the service's address.
type State struct {
	// Mode is the Tor in use, TorVersion what it calls itself.
	Mode       Mode
	TorVersion string
	// Progress is the newest step of the bootstrap. Advice is the latest that
	// still applies, "" if there is none.
	Progress

	// Published says whether a directory has ever stored the descriptor.
	Published bool
	// FirstUpload and LastUpload are when a directory stored it; zero if none
	// has. Tor uploads it to several directories, and again every few hours.
	FirstUpload, LastUpload time.Time
	// Uploads counts the directories that stored it, UploadFailures those that
	// answered otherwise; of one that cannot be reached Tor says nothing.
	Uploads, UploadFailures int

	// PoW, CircuitIDs and IntroDoS are the features in force.
	PoW, CircuitIDs, IntroDoS bool
	// Missing names, in words, what was asked for and this Tor lacks.
	Missing []string
	// PoWQueueRate and PoWQueueBurst are the limits of the introduction queue
	// in force (Config, SetPoW); 0 without proof of work.
	PoWQueueRate, PoWQueueBurst int

	// Circuits is how many clients' circuits are joined with ours at their
	// rendezvous points, Joining how many are on the way there. IntroPoints is
	// how many introduction circuits are ready; Tor keeps two descriptors with
	// introduction points of their own. All are -1 while not known.
	Circuits, Joining, IntroPoints int
	// PaidCircuits is how many of Circuits and Joining came with a proof of
	// work, TopEffort the highest effort among them; -1 while not known.
	PaidCircuits, TopEffort int
	// CircuitsAt is when these five were asked for; zero if never.
	CircuitsAt time.Time

	// Effort is the proof-of-work effort that the descriptor suggests to
	// clients (proposal 327), -1 while not known or without proof of work. Tor
	// decides anew every 5 min and publishes changes of more than 15 %.
	Effort int
	// SeedExpires is when Tor takes a new seed for the puzzles.
	SeedExpires time.Time
	// EffortAt is when both were asked for; zero if never.
	EffortAt time.Time

	// TorPID is the process id of a Tor that is our child, TorRSS its resident
	// memory in bytes; 0 elsewhere and when it has ended.
	TorPID int
	TorRSS int64
	// TorCPU is the processor time it has used, 0 likewise.
	TorCPU time.Duration

	// Guarded says whether a guard lets no more through to Tor than what this
	// service has to say.
	Guarded bool
	// Dialer says whether another process connects for Dial, so that this one
	// need not.
	Dialer bool

	// SocksReady says whether Dial has a SOCKS socket of ours and Tor has
	// reached its network. It says nothing of an external Tor.
	SocksReady bool
}

// State is a snapshot. It asks Tor nothing: what has to be asked for is at most
// as old as the times in it say, 15 s as a rule.
func (s *Service) State() State {
	st := State{
		Mode: s.config.Mode, TorVersion: s.version,
		Progress: s.bootstrap.now(),
		PoW:      s.features.pow, CircuitIDs: s.features.circuitIDs, IntroDoS: s.features.introDoS,
		Missing: s.missing(), Guarded: s.guard != nil, Dialer: s.caller != nil,
	}
	select {
	case <-s.published:
		st.Published = true
	default:
	}
	s.uploads.fill(&st)
	s.asked.fill(&st)
	if st.PoW {
		st.PoWQueueRate, st.PoWQueueBurst = s.powLimits()
	}
	st.SocksReady = s.socks != "" && st.Percent == 100
	if pid := s.PID(); pid != 0 {
		select {
		case <-s.ended: // the number may be another's by now
			st.SocksReady = false
		default:
			st.TorPID = pid
			st.TorRSS, st.TorCPU = s.proc.(*child).usage()
		}
	}
	return st
}

// missing names what the configuration asks for and is not in force.
func (s *Service) missing() []string {
	var lacks []string
	for _, f := range []struct {
		wanted, has bool
		name        string
	}{
		{true, s.features.circuitIDs, "circuit ids"},
		{s.config.PoW, s.features.pow, "proof of work"},
		{s.config.IntroDoSDefense, s.features.introDoS, "introduction DoS defence"},
		{s.config.IntroPoints > 0, !s.byControl, "number of introduction points"},
	} {
		if f.wanted && !f.has {
			lacks = append(lacks, f.name)
		}
	}
	return lacks
}
