package access

// Explanation is a decision with everything that led to it.
type Explanation struct {
	Decision
	// Allow reports whether the allow policies grant the permission, Deny whether
	// the deny policies deny it.
	Allow, Deny Answer
	// Deniable reports whether deny policies support the permission.
	Deniable bool
	// Levels are the levels of the request, with all of their bindings and
	// rules.
	Levels []LevelExplanation
	// Grant is a binding that grants the permission, one without a condition if
	// there is one, else nil. A deny rule may deny it all the same.
	Grant *Grant
	// Denial is a deny rule that denies it, else nil.
	Denial *Denial
	// Causes are what would have to be known, if Outcome is Unknown: each of
	// them can change the outcome. (All that isn't known, if that is more than
	// a few things.)
	Causes []Cause
}

// Grant is a binding that grants the permission in question.
type Grant struct {
	// Level is the resource whose policy has the binding, Binding its index.
	Level   string
	Binding int
	Role    string
	// Member is the member that matches the subject, Via the chain of sets from
	// Member to the subject.
	Member Member
	Via    []Member
	// Condition is the binding's condition, nil without one.
	Condition *ConditionExplanation
	// End says when the binding's condition ends the grant.
	End End
}

// Denial is a deny rule that denies the permission in question.
type Denial struct {
	// Level is the resource that the policy is attached to, Policy its name,
	// Rule the rule's index.
	Level  string
	Policy string
	Rule   int
	// Permission is the denied permission or permission group that matches.
	Permission string
	// Principal is the denied principal that matches the subject, Via the chain
	// of sets from Principal to the subject. If the subject is a set, Principal
	// may be a part of it.
	Principal Member
	Via       []Member
	// Condition is the rule's condition, nil without one.
	Condition *ConditionExplanation
}

// LevelExplanation explains a level of the hierarchy.
type LevelExplanation struct {
	Resource string
	// Readable reports whether the allow policy is known, Allow what it grants.
	Readable bool
	Allow    Answer
	Bindings []BindingExplanation
	// DenyReadable reports whether the deny policies are known, Deny what they deny.
	DenyReadable bool
	Deny         Answer
	DenyPolicies []DenyPolicyExplanation
}

// BindingExplanation explains a binding of an allow policy.
type BindingExplanation struct {
	// Index is the binding's index in its policy.
	Index int
	// Role is the role as written in the binding, RoleState its state, and
	// Permission reports whether it lists the permission.
	Role       string
	RoleState  RoleState
	Permission Answer
	// Members explains each member, Membership combines them.
	Members    []MemberExplanation
	Membership Answer
	// Condition is nil for a binding without a condition.
	Condition *ConditionExplanation
	// Access reports whether the binding grants the permission to the subject.
	Access Answer
}

// MemberExplanation reports whether a member matches the subject.
type MemberExplanation struct {
	Member  Member
	Matched Answer
	// Via is the chain of sets from Member to the subject, without both.
	Via []Member
	// Part reports whether it matches a part of the subject, which is a set.
	Part bool
	// Unreadable are the sets whose members would have to be known, if Matched
	// is Maybe.
	Unreadable []Member
}

// ConditionExplanation explains a condition.
type ConditionExplanation struct {
	Expr
	// Value is the condition's value; Maybe if it can't be evaluated, or isn't
	// shown by the policy.
	Value Answer
	// Attributes are the attributes and functions that aren't supported.
	Attributes []string
	// Err is the error of the evaluation, or says why there is none. A
	// condition of an allow policy that fails is as false, one of a deny policy
	// as true.
	Err error `json:"-"`
}

// DenyPolicyExplanation explains a deny policy.
type DenyPolicyExplanation struct {
	Name string
	// Denied reports whether it denies the permission to the subject.
	Denied Answer
	Rules  []DenyRuleExplanation
}

// DenyRuleExplanation explains a deny rule.
type DenyRuleExplanation struct {
	// Index is the rule's index in its policy.
	Index int
	// DeniedPermissions and ExceptionPermissions say which match; Permission
	// whether the rule is about the permission.
	DeniedPermissions    []PermissionMatch
	ExceptionPermissions []PermissionMatch
	Permission           bool
	// DeniedPrincipals and ExceptionPrincipals explain each; Principal and
	// Exception combine them.
	DeniedPrincipals    []MemberExplanation
	ExceptionPrincipals []MemberExplanation
	Principal           Answer
	Exception           Answer
	// Condition is nil for a rule without a condition.
	Condition *ConditionExplanation
	// Denied reports whether the rule denies the permission to the subject.
	Denied Answer
}

// PermissionMatch reports whether a permission or permission group of a deny rule
// matches.
type PermissionMatch struct {
	Permission string
	Matched    bool
}

// Explain answers a request and says why. It looks at every binding and rule,
// and so takes much longer than Decide, with which it always agrees.
func (e *Evaluator) Explain(req Request) *Explanation {
	r := newRun(e, &req)
	allow, deny := r.allow(), r.deny()
	x := &Explanation{Allow: allow, Deny: deny, Deniable: r.canDeny && r.isDeniable()}
	x.Outcome = outcomeOf(allow, deny)
	switch x.Outcome {
	case Granted:
		x.End = r.end
	case Unknown:
		f := r.refine(allow, deny, true)
		x.Outcome, x.Causes = f.outcome(), f.causes(req.Levels)
	}
	for i := range req.Levels {
		x.Levels = append(x.Levels, r.explainLevel(i))
	}
	x.findGrant(&req)
	x.findDenial(&req)
	return x
}

// findGrant picks the binding to name, one that lasts if there is one.
func (x *Explanation) findGrant(req *Request) {
	for i := range x.Levels {
		for j := range x.Levels[i].Bindings {
			b := &x.Levels[i].Bindings[j]
			if b.Access != Yes || (x.Grant != nil && (x.Grant.Condition == nil || b.Condition != nil)) {
				continue
			}
			g := &Grant{Level: x.Levels[i].Resource, Binding: j, Role: b.Role, Condition: b.Condition, End: End{Kind: EndNever}}
			if c := req.Levels[i].Allow.bindings[j].cond; c != nil {
				g.End = c.end
			}
			if m := firstMatch(b.Members); m != nil {
				g.Member, g.Via = m.Member, m.Via
			}
			x.Grant = g
		}
	}
}

// findDenial names the first rule that denies.
func (x *Explanation) findDenial(req *Request) {
	for i := range x.Levels {
		for _, p := range x.Levels[i].DenyPolicies {
			for _, rule := range p.Rules {
				if rule.Denied != Yes {
					continue
				}
				d := &Denial{Level: req.Levels[i].Resource, Policy: p.Name, Rule: rule.Index, Condition: rule.Condition}
				for _, m := range rule.DeniedPermissions {
					if m.Matched {
						d.Permission = m.Permission
						break
					}
				}
				if m := firstMatch(rule.DeniedPrincipals); m != nil {
					d.Principal, d.Via = m.Member, m.Via
				}
				x.Denial = d
				return
			}
		}
	}
}

func firstMatch(members []MemberExplanation) *MemberExplanation {
	for i := range members {
		if members[i].Matched == Yes {
			return &members[i]
		}
	}
	return nil
}
