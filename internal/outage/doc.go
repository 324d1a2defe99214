// Package outage makes the calls of a run go wrong, one by one or from one on for
// ever, so that a test can enumerate an operation's calls with each fault. It is
// for tests only; it knows nothing of the backend but that it is an
// [http.Handler].
//
//	w := outage.New(outage.Strike{Call: 2, Fault: outage.DropAfter()})
//	b.Use(w.Over)                       // a *fake.Backend, or any handler
//	ctx, cancel := w.Begin(t.Context()) // a kill cancels it
//	defer cancel()
//	change, err := client.Attach(ctx, job, account, nil)
//	w.Close()                           // effects that come late have landed
//	for _, call := range w.Calls() {
//		t.Log(call)
//	}
//	w.Clear() // the weather is over
//	change, err = client.Attach(t.Context(), job, account)
//
// To enumerate, run the operation once without strikes: the calls that it then
// makes are those to strike. [Faults] lists the faults; [Answer] and
// [AnswerAfter] make more, such as an answer about another resource.
//
// Everything that waits does so by the standard clock, so that inside
// testing/synctest it takes no time.
package outage
