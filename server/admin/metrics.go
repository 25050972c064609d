package admin

import (
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sirupsen/logrus"
)

// maxScrapes is how many may be answered at once: each looks at every peer.
const maxScrapes = 4

// metricsHandler answers /metrics. It has a registry of its own, so that nothing else in the process adds to it.
func metricsHandler(src Source, log logrus.FieldLogger) http.Handler {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newCollector(src), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: scrapeLog{log}, MaxRequestsInFlight: maxScrapes,
	})
}

// scrapeLog takes what promhttp complains of.
type scrapeLog struct{ log logrus.FieldLogger }

// Println implements promhttp.Logger.
func (l scrapeLog) Println(v ...any) { l.log.Debug(v...) }

// A collector makes metrics of a Source's Report when it is asked, so that counting costs the directory nothing more.
type collector struct {
	src   Source
	descs []*prometheus.Desc // of families, in their order
}

// A snapshot is what one answer to /metrics is made of.
type snapshot struct {
	Report
	ready bool
}

// A family is all metrics of one name.
type family struct {
	kind   prometheus.ValueType
	name   string // behind prefix
	help   string
	labels []string
	read   func(s *snapshot, add addFunc)
}

// An addFunc adds one metric, with a value for each label of its family.
type addFunc func(value float64, labels ...string)

const prefix = "jm_directory_"

func newCollector(src Source) *collector {
	c := &collector{src: src}
	for _, f := range families {
		c.descs = append(c.descs, prometheus.NewDesc(prefix+f.name, f.help, f.labels, nil))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := &snapshot{Report: c.src.Report(), ready: len(c.src.Ready()) == 0}
	for i, f := range families {
		f.read(s, func(value float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(c.descs[i], f.kind, value, labels...)
		})
	}
}

// goVersion is a label of build_info.
var goVersion = runtime.Version()
