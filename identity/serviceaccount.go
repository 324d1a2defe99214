package identity

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/runidentity/runidentity/internal/names"
)

const exampleServiceAccount = "runner@data-prod.iam.gserviceaccount.com"

// ServiceAccount names a service account of IAM. It is the account's email and
// nothing else. Two are == if and only if they name the same account, in whichever
// form their names were parsed. A ServiceAccount can be the key of a map.
//
// The zero ServiceAccount names no account. Every other value comes from a parser
// and is valid, which does not mean that the account exists.
type ServiceAccount struct {
	email string
}

// ParseServiceAccount parses the name of a service account in any of its forms:
//
//	runner@data-prod.iam.gserviceaccount.com
//	serviceAccount:runner@data-prod.iam.gserviceaccount.com
//	projects/data-prod/serviceAccounts/runner@data-prod.iam.gserviceaccount.com
//	//iam.googleapis.com/projects/data-prod/serviceAccounts/runner@data-prod.iam.gserviceaccount.com
//
// The project in the last two may also be - or a number. It is not kept. If it is
// an id that contradicts the email, ParseServiceAccount returns an error.
//
// An email is lower case and has one of the forms of [AccountKind].
// ParseServiceAccount refuses other principals with an error that says what they
// are: emails of users and groups, unique ids, deleted members (deleted:...).
//
// https://cloud.google.com/iam/docs/service-account-overview
func ParseServiceAccount(s string) (ServiceAccount, error) {
	email, err := parseServiceAccount(s)
	if err != nil {
		return ServiceAccount{}, fmt.Errorf("invalid service account %s: %w; example: %q",
			quote(s), err, exampleServiceAccount)
	}
	return ServiceAccount{email}, nil
}

// MustParseServiceAccount is [ParseServiceAccount] for names written in the
// program: it accepts constants only, and panics if s is invalid.
func MustParseServiceAccount(s constant) ServiceAccount {
	sa, err := ParseServiceAccount(string(s))
	if err != nil {
		panic(err)
	}
	return sa
}

// RunServiceAgent returns Cloud Run's service agent for the project with this
// number: the account by which Cloud Run gets tokens for the identities of the
// project's workloads. If the number is not positive, it returns the zero
// ServiceAccount.
//
// https://cloud.google.com/iam/docs/service-agents
func RunServiceAgent(projectNumber int64) ServiceAccount {
	if projectNumber <= 0 {
		return ServiceAccount{}
	}
	number := strconv.FormatInt(projectNumber, 10)
	return ServiceAccount{"service-" + number + "@serverless-robot-prod.iam" + serviceAccountDomain}
}

// DefaultServiceAccount returns the account that workloads of the project with
// this number run as when they are not given one: the Compute Engine default
// service account. If the number is not positive, it returns the zero
// ServiceAccount.
//
// https://cloud.google.com/run/docs/securing/service-identity
func DefaultServiceAccount(projectNumber int64) ServiceAccount {
	if projectNumber <= 0 {
		return ServiceAccount{}
	}
	number := strconv.FormatInt(projectNumber, 10)
	return ServiceAccount{number + "-compute@developer" + serviceAccountDomain}
}

// Email returns the account's email, or "" for the zero ServiceAccount.
func (sa ServiceAccount) Email() string { return sa.email }

// String returns what Email does.
func (sa ServiceAccount) String() string { return sa.email }

// IsZero reports whether sa is the zero ServiceAccount, which names no account.
func (sa ServiceAccount) IsZero() bool { return sa.email == "" }

// Member returns the account as IAM policies name it, serviceAccount:EMAIL, or ""
// for the zero ServiceAccount.
//
// https://cloud.google.com/iam/docs/principal-identifiers
func (sa ServiceAccount) Member() string {
	if sa.IsZero() {
		return ""
	}
	return "serviceAccount:" + sa.email
}

// Kind returns what the form of the account's email says about who made it.
func (sa ServiceAccount) Kind() AccountKind {
	kind, _, err := parseAddress(sa.email)
	if err != nil {
		return AccountUnknown
	}
	return kind
}

// Project returns the project that the account belongs to, if its email tells. It
// is the project's id (example.com:web-prod if the project is domain-scoped), or
// its number for the Compute Engine default account.
//
// The email of a service agent doesn't tell: a number in it is that of the
// project that the agent works for, and the account itself is in a project of
// Google's. The email of an account at developer.gserviceaccount.com tells only
// if it is the default one.
func (sa ServiceAccount) Project() (project string, ok bool) {
	_, host, err := parseAddress(sa.email)
	if err != nil || host == "" {
		return "", false
	}
	return projectOfHost(host), true
}

// MarshalText implements [encoding.TextMarshaler]. The text is the email, or
// empty for the zero ServiceAccount.
func (sa ServiceAccount) MarshalText() ([]byte, error) {
	return []byte(sa.email), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler]. It accepts what
// [ParseServiceAccount] accepts, and empty text for the zero ServiceAccount. If
// it returns an error, sa is unchanged.
func (sa *ServiceAccount) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*sa = ServiceAccount{}
		return nil
	}
	parsed, err := ParseServiceAccount(string(text))
	if err != nil {
		return err
	}
	*sa = parsed
	return nil
}

func parseServiceAccount(s string) (email string, err error) {
	if err := checkText(s); err != nil {
		return "", err
	}
	project, email, err := cutServiceAccount(s)
	if err != nil {
		return "", err
	}
	_, host, err := parseAddress(email)
	if err != nil {
		return "", err
	}
	if project == "-" || host == "" {
		return email, nil
	}
	told := projectOfHost(host)
	if told != project && names.IsNumber(told) == names.IsNumber(project) {
		return "", fmt.Errorf("the email is of project %s, the name says %s: "+
			"give the one it is of, or - in its place", quote(told), quote(project))
	}
	return email, nil
}

// cutServiceAccount takes the email, not yet checked, out of the accepted forms,
// and the project that a resource name puts before it, "-" in the other forms.
func cutServiceAccount(s string) (project, email string, err error) {
	name, full := strings.CutPrefix(s, "//iam.googleapis.com/")
	if !full && strings.HasPrefix(s, "//") {
		return "", "", errors.New("the full name of a service account begins with //iam.googleapis.com/")
	}
	// The first separator tells the form: a resource name may have a colon too,
	// in a domain-scoped project id, and some IAM members have slashes.
	switch i := strings.IndexAny(s, ":/"); {
	case i < 0:
		return "-", s, nil
	case s[i] == ':':
		email, err = cutMember(s[:i], s[i+1:])
		return "-", email, err
	}
	rest, isProject := strings.CutPrefix(name, "projects/")
	project, email, isAccount := strings.Cut(rest, "/serviceAccounts/")
	switch {
	case strings.HasSuffix(s, "/"):
		return "", "", errors.New("must not end in a slash")
	case !isProject || !isAccount:
		return "", "", errors.New("a resource name must be projects/PROJECT/serviceAccounts/EMAIL, " +
			"with or without //iam.googleapis.com/ before it")
	case strings.Contains(email, "/"):
		return "", "", errors.New("a resource name must end with the email; with more after it, it names something else")
	case project == "-":
		return project, email, nil
	}
	return project, email, checkProject(project)
}

// cutMember returns the email of an IAM policy's member TYPE:ID.
func cutMember(memberType, id string) (email string, err error) {
	switch memberType {
	case "serviceAccount":
		return id, nil
	case "deleted":
		return "", errors.New("is a member that was deleted; an account made again under its name " +
			"is another one, named without deleted: and ?uid=")
	}
	return "", fmt.Errorf("%s is not how a service account begins: give EMAIL or serviceAccount:EMAIL",
		quote(memberType+":"))
}
