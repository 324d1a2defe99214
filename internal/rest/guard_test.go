package rest_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
)

// answers is a transport that adds a token to each request, whatever its host, as
// those of Google's libraries do, and keeps the requests.
type answers struct {
	answer func(r *http.Request) *http.Response
	seen   []*http.Request
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer secret")
	a.seen = append(a.seen, r)
	res := a.answer(r)
	res.Request = r
	return res, nil
}

func answer(status int, body string, header ...string) *http.Response {
	h := make(http.Header)
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// asker makes one call, through this package or through a generated client.
type asker func(t *testing.T, verb string, c *http.Client) ([]byte, error)

func askers() map[string]asker {
	return map[string]asker{
		"raw": func(t *testing.T, verb string, c *http.Client) ([]byte, error) {
			t.Helper()
			client, err := rest.New(t.Context(), "run", option.WithHTTPClient(c))
			require.NoError(t, err)
			return client.Do(t.Context(), verb, "v2/projects/p", nil, []byte("{}"))
		},
		"generated": func(t *testing.T, verb string, c *http.Client) ([]byte, error) {
			t.Helper()
			service, err := rest.Service("iam", iam.NewService)(t.Context(), option.WithHTTPClient(c))
			require.NoError(t, err)
			const name = "projects/p/serviceAccounts/a@p.iam.gserviceaccount.com"
			var a *iam.ServiceAccount
			if verb == http.MethodGet {
				a, err = service.Projects.ServiceAccounts.Get(name).Context(t.Context()).Do()
			} else {
				a, err = service.Projects.ServiceAccounts.Patch(name, &iam.PatchServiceAccountRequest{}).Context(t.Context()).Do()
			}
			if err != nil {
				return nil, err
			}
			return []byte(a.Name), nil
		},
	}
}

// each runs a test with each way of calling.
func each(t *testing.T, test func(t *testing.T, ask asker)) {
	t.Helper()
	for name, ask := range askers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, ask)
		})
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		verb     string
		status   int
		to       string // %s is the host that was asked
		followed bool
	}{
		"to another host":              {http.MethodGet, 302, "https://portal.example.com/login", false},
		"to another host, by its path": {http.MethodGet, 307, "//portal.example.com/login", false},
		"to another port":              {http.MethodGet, 302, "https://HOST:8443/x", false},
		"out of TLS":                   {http.MethodGet, 301, "http://HOST/x", false},
		"out of TLS, to that port":     {http.MethodGet, 301, "http://HOST:443/x", false},
		"to where nothing can be":      {http.MethodGet, 302, "https://%zz/", false},
		"to the same host":             {http.MethodGet, 302, "/x", true},
		"to the same host, in full":    {http.MethodGet, 308, "https://HOST:443/x", true},
		"a write, kept as it is":       {http.MethodPatch, 308, "/x", true},
		"a write, made a read":         {http.MethodPatch, 302, "/x", false},
		"a write, elsewhere":           {http.MethodPatch, 308, "https://portal.example.com/x", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, ask asker) {
				through := &answers{}
				through.answer = func(r *http.Request) *http.Response {
					if len(through.seen) > 1 {
						return answer(200, `{"name":"there"}`)
					}
					return answer(tt.status, "<html>", "Location", strings.ReplaceAll(tt.to, "HOST", r.URL.Host))
				}
				caller := &http.Client{Transport: through}
				_, err := ask(t, tt.verb, caller)
				assert.Same(t, through, caller.Transport, "the caller's client stays as it is")
				if tt.followed {
					require.NoError(t, err)
					assert.Len(t, through.seen, 2)
					return
				}
				require.ErrorIs(t, err, rest.ErrForeign)
				assert.Len(t, through.seen, 1, "the token has gone nowhere else")
				assert.NotContains(t, err.Error(), "/login")
				assert.True(t, retry.Ambiguous(err), "who answers for Google may have passed it on")
				assert.False(t, retry.Transient(t.Context(), err))
			})
		})
	}
}

func TestSuccessThatIsNoAnswer(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a page": "<html>log in</html>", "nothing": "", "spaces": " \n", "null": "null", "a list": `[{"name":"a"}]`, "a text": `"ok"`,
		"cut short": `{"name":"a`, "two": `{"name":"a"}{}`, "an error": ` { "error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, ask asker) {
				_, err := ask(t, http.MethodGet, &http.Client{Transport: &answers{answer: func(*http.Request) *http.Response { return answer(200, body) }}})
				require.ErrorIs(t, err, retry.ErrGarbled)
				assert.True(t, retry.Transient(t.Context(), err))
				assert.True(t, retry.Ambiguous(err))
				assert.Less(t, len(err.Error()), 500)
			})
		})
	}
	for name, body := range map[string]string{
		"an operation that failed": `{"error":{"code":7},"name":"o"}`,
		"with spaces":              " {\n} ", "a field of such a name": `{"errors":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, ask asker) {
				_, err := ask(t, http.MethodGet, &http.Client{Transport: &answers{answer: func(*http.Request) *http.Response { return answer(200, body) }}})
				require.NoError(t, err)
			})
		})
	}
	t.Run("a connection that breaks within it", func(t *testing.T) {
		t.Parallel()
		each(t, func(t *testing.T, ask asker) {
			_, err := ask(t, http.MethodGet, &http.Client{Transport: &answers{answer: func(*http.Request) *http.Response {
				res := answer(200, "")
				res.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"name":"a"}`), broken{}))
				return res
			}}})
			require.ErrorIs(t, err, retry.ErrGarbled)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		})
	})
}

func TestLongestAnswer(t *testing.T) {
	t.Parallel()
	for size, fits := range map[int]bool{rest.MaxAnswer: true, rest.MaxAnswer + 1: false} {
		client, err := rest.New(t.Context(), "run", option.WithHTTPClient(&http.Client{Transport: &answers{answer: func(*http.Request) *http.Response {
			res := answer(200, "")
			res.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), io.LimitReader(spaces{}, int64(size)-2), strings.NewReader("}")))
			return res
		}}}))
		require.NoError(t, err)
		got, err := client.Do(t.Context(), http.MethodGet, "v2/projects/p", nil, nil)
		if !fits {
			require.ErrorIs(t, err, retry.ErrGarbled)
			require.ErrorContains(t, err, "it is longer than 32 MiB")
			continue
		}
		require.NoError(t, err)
		assert.Len(t, got, size)
	}
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestErrorsOfGoogle(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 1<<19)
	for name, tt := range map[string]struct {
		status        int
		body          string
		code          int
		message, same string
	}{
		"as it is":                  {404, `{"error": {"code": 404, "message": "gone <it>", "status": "NOT_FOUND", "details": [{"@type": "x", "n": 1e40}]}}`, 404, "gone <it>", "yes"},
		"another code in the body":  {503, `{"error":{"code":14,"message":"m","status":"UNAVAILABLE"}}`, 503, "m", ""},
		"no message in the body":    {404, `{"error":{"code":404}}`, 404, "", "yes"},
		"no code in the body":       {403, `{"error":{"message":"m"}}`, 403, "m", ""},
		"success in the body":       {500, `{"error":{"code":200,"message":"m"}}`, 500, "m", ""},
		"a code that is no integer": {500, `{"error":{"code":1.5,"message":"m"}}`, 500, "m", ""},
		"a list, another code":      {429, `[{"error":{"code":8,"message":"m"}}]`, 429, "m", ""},
		"a list":                    {429, `[{"error":{"code":429,"message":"m"}}]`, 429, "m", "yes"},
		"escapes of a terminal":     {400, "{\"error\":{\"code\":400,\"message\":\"a\\u001b[2Jb\\u202ec\\r\\nd\\te\\u0085f\\u2028g\"}}", 400, "a\ufffd[2Jb\ufffdc\ufffd\nd\te\ufffdf\ufffdg", ""},
		"a megabyte":                {400, `{"error":{"code":400,"message":"` + long[:1000000] + `"}}`, 400, long[:4096] + "…", ""},
		"cut within a letter":       {400, `{"error":{"code":400,"message":"x` + long[:8000] + `"}}`, 400, "x" + long[:4094] + "…", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, ask asker) {
				_, err := ask(t, http.MethodGet, &http.Client{Transport: &answers{answer: func(*http.Request) *http.Response {
					return answer(tt.status, tt.body, "Retry-After", "7")
				}}})
				told, ok := errors.AsType[*googleapi.Error](err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, tt.code, told.Code)
				assert.Equal(t, tt.message, told.Message)
				assert.Equal(t, "7", told.Header.Get("Retry-After"))
				assert.Less(t, len(err.Error()), 70<<10)
				if tt.same != "" {
					assert.Equal(t, tt.body, told.Body)
				}
			})
		})
	}
}

// Of an error that is long by many short texts, what tells errors apart is kept.
func TestErrorWithManyDetails(t *testing.T) {
	t.Parallel()
	details := strings.Repeat(`{"@type":"x","text":"`+strings.Repeat("d", 1000)+`"},`, 100)
	body := `{"error":{"code":412,"message":"why <it> is so","status":"FAILED_PRECONDITION","details":[` + strings.TrimSuffix(details, ",") + `]}}`
	each(t, func(t *testing.T, ask asker) {
		_, err := ask(t, http.MethodGet, &http.Client{Transport: &answers{answer: func(*http.Request) *http.Response { return answer(412, body) }}})
		told, ok := errors.AsType[*googleapi.Error](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, "why <it> is so", told.Message)
		assert.Contains(t, told.Body, `"why <it> is so"`)
		assert.Contains(t, told.Body, "FAILED_PRECONDITION")
		assert.Empty(t, told.Details)
		assert.Less(t, len(err.Error()), 200)
	})
}

// What a page doesn't say, nobody concludes from its status.
func TestErrorsOfOthers(t *testing.T) {
	t.Parallel()
	page := "<html>\x1b]0;title\x07\u202e" + strings.Repeat("<p>all of this is a page</p>", 40000)
	bodies := map[string]string{
		"a page": page, "nothing": "", "an object": "{}", "null": "null", "another's error": `{"error":"invalid_grant"}`,
		"an empty error": `{"error":{}}`, "an empty list": "[]", "another's code": `{"error":{"code":"E1"}}`,
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, ask asker) {
				for _, status := range []int{300, 304, 400, 401, 403, 404, 407, 409, 412, 451} {
					_, err := ask(t, http.MethodGet, &http.Client{Transport: &answers{answer: func(*http.Request) *http.Response { return answer(status, body) }}})
					require.ErrorIs(t, err, rest.ErrForeign)
					_, ok := errors.AsType[*googleapi.Error](err)
					assert.False(t, ok, "nobody takes it for Google's %d", status)
					assert.Less(t, len(err.Error()), 500)
					assert.True(t, retry.Ambiguous(err))
				}
				for _, status := range []int{429, 500, 501, 502, 503, 504, 524} {
					_, err := ask(t, http.MethodGet, &http.Client{Transport: &answers{answer: func(*http.Request) *http.Response { return answer(status, body) }}})
					told, ok := errors.AsType[*googleapi.Error](err)
					require.True(t, ok, "%v", err)
					assert.Equal(t, status, told.Code)
					assert.Less(t, len(err.Error()), 800)
					assert.NotContains(t, err.Error(), "\x1b")
					assert.NotContains(t, err.Error(), "\u202e")
				}
			})
		})
	}
}

// A generated client keeps what its own constructor would give it.
func TestServiceKeepsTheEndpoint(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"": "https://iam.googleapis.com/", "https://example.com/base": "https://example.com/base/", "127.0.0.1:1": "https://127.0.0.1:1/",
	} {
		through := &answers{answer: func(*http.Request) *http.Response { return answer(200, `{}`) }}
		service, err := rest.Service("iam", iam.NewService)(t.Context(), option.WithHTTPClient(&http.Client{Transport: through}), option.WithEndpoint(endpoint))
		require.NoError(t, err)
		assert.Equal(t, want, service.BasePath)
		_, err = service.Roles.List().Context(t.Context()).Do()
		require.NoError(t, err)
		u, err := url.Parse(want)
		require.NoError(t, err)
		assert.Equal(t, u.Host, through.seen[0].URL.Host)
	}
	_, err := rest.Service("iam", iam.NewService)(t.Context(), option.WithQuotaProject("p"), option.WithHTTPClient(http.DefaultClient))
	require.Error(t, err, "options that don't go together are refused as before")
}

// A client without a transport of its own uses the default one, guarded.
func TestClientWithoutATransport(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("null")) }))
	defer server.Close()
	client, err := rest.New(t.Context(), "run", option.WithHTTPClient(&http.Client{}), option.WithEndpoint(server.URL))
	require.NoError(t, err)
	_, err = client.Do(t.Context(), http.MethodGet, "v2/projects/p", nil, nil)
	require.ErrorIs(t, err, retry.ErrGarbled)
}
