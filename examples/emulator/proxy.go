package main

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/runidentity/runidentity/fake"
)

// handler answers requests as APIs at three places: those to a proxy
// ("GET http://us-central1-run.googleapis.com/…"), those with the API in the
// Host header, and those that have it at the beginning of the path
// ("/us-central1-run.googleapis.com/…"), for clients whose endpoint can be set
// and whose proxy can't.
func handler(backend *fake.Backend, anonymous string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			refuseTunnel(w, connectAdvice(r.Host))
			return
		}
		if isLocal(r.Host) {
			host, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
			path, err := url.PathUnescape("/" + rest)
			if !strings.HasSuffix(host, ".googleapis.com") || err != nil {
				refuse(w, http.StatusNotFound, "this is an emulator of several APIs, and the request does not say which one it is for: "+
					"send it to this address as a proxy, or put the API in front of the path, as in /run.googleapis.com/v2/…")
				return
			}
			r = r.Clone(r.Context())
			r.Host, r.URL.Path, r.URL.RawPath = host, path, "/"+rest
		}
		if anonymous != "" && r.Header.Get("Authorization") == "" {
			r.Header.Set("Authorization", "Bearer "+anonymous)
		}
		backend.ServeHTTP(w, r)
	})
}

// isLocal reports whether a host is this server itself.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || host == "" || ip != nil
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, "emulator: "+text)
}

// refuseTunnel has the text in the status line as well, which is all that gcloud
// shows of the answer.
func refuseTunnel(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		refuse(w, http.StatusMethodNotAllowed, text)
		return
	}
	defer func() { _ = conn.Close() }()
	text = "emulator: " + text
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n",
		http.StatusMethodNotAllowed, text, len(text)+1, text)
}

// connectAdvice says which setting makes gcloud ask a host in clear text. A
// tunnel would hide from the emulator what is asked.
func connectAdvice(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	api := strings.TrimSuffix(name, ".googleapis.com")
	api = api[strings.LastIndexByte(api, '-')+1:]
	for _, o := range overrides() {
		if o.host == api+".googleapis.com" {
			return fmt.Sprintf("no tunnel to %s: the emulator speaks plain HTTP; for gcloud, set %s=http://%s/", host, o.variable, o.host)
		}
	}
	return fmt.Sprintf("no tunnel to %s: the emulator speaks plain HTTP, and has no API at that host", host)
}
