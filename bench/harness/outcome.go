package harness

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// Outcome is a line of the table.
type Outcome struct {
	Name   string `json:"name"`
	Group  string `json:"group"`
	Work   string `json:"work"`
	Unit   string `json:"unit"`
	Target string `json:"target"`
	// Ours is our value, nil when there is none.
	Ours *float64 `json:"ours"`
	// Peers are the values of the others.
	Peers map[string]float64 `json:"peers"`
	// Ratio is ours divided by that of Against, nil when there is none.
	Ratio   *float64 `json:"ratio"`
	Against string   `json:"against,omitempty"`
	Met     bool     `json:"met"`

	// Missing is why the row was not run.
	Missing string `json:"missing,omitempty"`
	// Error is why there is no value of ours.
	Error string `json:"error,omitempty"`
	// Noisy says that other load disturbed runs that count.
	Noisy bool   `json:"noisy,omitempty"`
	Note  string `json:"note,omitempty"`
	// OursName is which contestant of ours the line is about.
	OursName string `json:"ours_name,omitempty"`
	// Order are the peers' names, in the order of the row.
	Order []string `json:"order,omitempty"`
	// Details are all contestants' figures, in the row's own unit.
	Details map[string]Summary `json:"details,omitempty"`
	// Out says why contestants have no measured figure.
	Out map[string]string `json:"out,omitempty"`
}

// judge makes the lines of a row.
func judge(row Row, entrants []*entrant, noisy bool) []Outcome {
	percentile := row.Percentile
	if percentile == 0 {
		percentile = 50
	}
	details, out := map[string]Summary{}, map[string]string{}
	var peers []string
	for i, e := range entrants {
		if i > 0 && !e.Ours {
			peers = append(peers, e.Name)
		}
		switch {
		case e.err == nil && len(e.samples) > 0:
			details[e.Name] = summarise(e.samples, percentile)
		case e.Published != 0:
			details[e.Name] = Summary{Value: e.Published, Published: e.Source}
			fallthrough
		default:
			out[e.Name] = "not run"
			if e.err != nil {
				out[e.Name] = e.err.Error()
			}
		}
	}
	own := Line{
		Name: row.Name, Unit: row.Unit, Better: row.Better,
		Target: row.Target, Met: row.Met, Against: row.Against,
	}
	var lines []Outcome
	for _, line := range append([]Line{own}, row.Also...) {
		o := Outcome{
			Name: line.Name, Group: row.Group, Work: line.Work, Unit: line.Unit, Target: line.Target,
			Missing: row.Missing, Note: row.Note, Noisy: noisy, Order: peers, OursName: line.Ours,
			Peers: map[string]float64{}, Details: details, Out: out,
		}
		if o.Work == "" {
			o.Work = row.Work
		}
		if o.Unit == "" {
			o.Unit = row.Unit
		}
		if line.Extra == "" {
			line.Better = row.Better
		}
		if o.OursName == "" && len(entrants) > 0 {
			o.OursName = entrants[0].Name
		}
		o.fill(line)
		lines = append(lines, o)
	}
	return lines
}

// fill computes the values, the ratio and the verdict of a line.
func (o *Outcome) fill(line Line) {
	if o.Missing != "" {
		return
	}
	shown := make(map[string]Summary, len(o.Details))
	for name, s := range o.Details {
		if line.Extra != "" {
			value, ok := s.Extra[line.Extra]
			if !ok {
				continue
			}
			s.Value = value
		}
		shown[name] = s
	}
	ours, ok := shown[o.OursName]
	if !ok {
		o.Error = o.Out[o.OursName]
		if o.Error == "" {
			o.Error = "it was not measured"
		}
	} else {
		o.Ours = &ours.Value
	}
	for _, name := range o.Order {
		if s, ok := shown[name]; ok {
			o.Peers[name] = s.Value
		}
	}
	o.Against = line.Against
	if o.Against == "" {
		o.Against = best(o.Order, o.Peers, line.Better)
	}
	if against, ok := shown[o.Against]; ok && o.Ours != nil && against.Value != 0 {
		ratio := *o.Ours / against.Value
		o.Ratio = &ratio
	}
	if o.Ours != nil && line.Met != nil {
		o.Met = line.Met(Result{Ours: ours, Peers: shown})
	}
}

// best is the peer with the best value, empty for none.
func best(order []string, peers map[string]float64, better Direction) string {
	var name string
	for _, peer := range order {
		value, ok := peers[peer]
		if !ok {
			continue
		}
		if name == "" || better == Higher && value > peers[name] || better == Lower && value < peers[name] {
			name = peer
		}
	}
	return name
}

// Failed reports whether something of ours that exists could not be measured.
func Failed(outcomes []Outcome) bool {
	return slices.ContainsFunc(outcomes, func(o Outcome) bool { return o.Error != "" })
}

// Report is a whole run, as it is kept.
type Report struct {
	// Machine is the processor and its cores.
	Machine string    `json:"machine"`
	Go      string    `json:"go"`
	Time    time.Time `json:"time"`
	// Full says that it was a full run.
	Full bool      `json:"full"`
	Rows []Outcome `json:"rows"`
}

// NewReport describes this machine; the time is of the run's start.
func NewReport(rows []Outcome, began time.Time, full bool) Report {
	machine := fmt.Sprintf("%s, %d cores", cpuModel(), runtime.NumCPU())
	if cpuModel() == "" {
		machine = fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	}
	return Report{Machine: machine, Go: runtime.Version(), Time: began.UTC().Truncate(time.Second), Full: full, Rows: rows}
}

// JSON is the report as it is printed and kept.
func (r Report) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return append(text, '\n'), nil
}

// Save writes the report into dir, under the time of its start, and returns
// the file's path.
func (r Report) Save(dir string) (string, error) {
	text, err := r.JSON()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, r.Time.Format("20060102-1504")+".json")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("save report: %w", err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return "", fmt.Errorf("save report: %w", err)
	}
	return path, nil
}

// Newest reads the newest report in dir.
func Newest(dir string) (Report, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(paths) == 0 {
		return Report{}, fmt.Errorf("no results in %s: a whole run writes them", dir)
	}
	text, err := os.ReadFile(slices.Max(paths))
	if err != nil {
		return Report{}, fmt.Errorf("newest report: %w", err)
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return Report{}, fmt.Errorf("newest report %s: %w", slices.Max(paths), err)
	}
	return r, nil
}
