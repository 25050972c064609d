package admin

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard keeps web sites that the operator looks at from using the operator's browser against next. A site can make a browser
// send a request to loopback, and by giving its own name a loopback address (DNS rebinding) it can read the
// answer; so on TCP the name that was asked for has to be ours, and an action from another origin is refused everywhere. A unix
// socket can be the far end of a loopback port, by ssh -L: there any name will do that no web site can have.
// CORS is never granted, so that an action, which has to be JSON, is not even sent by a browser that asks first.
func guard(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		local := r.Context().Value(http.LocalAddrContextKey)
		_, tcp := local.(*net.TCPAddr)
		_, socket := local.(*net.UnixAddr)
		if (tcp || socket && strings.Contains(r.Host, ".")) && !loopbackHost(r.Host) {
			answerError(w, http.StatusForbidden, "the request is for another host: use the number of the loopback address, or localhost")
			return
		}
		if origins.Check(r) != nil {
			answerError(w, http.StatusForbidden, "the request comes from a page of another origin")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// loopbackHost says that a Host header is "localhost" or a loopback address by number. Any port will do, for who forwards
// one, as ssh -L does.
func loopbackHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	return err == nil && a.Zone() == "" && a.Unmap().IsLoopback()
}

// isJSON says that a request's body is declared to be JSON, which a plain form of another site cannot do.
func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}
