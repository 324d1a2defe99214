package fake

func (k *workloadKind) getPolicy(c *call, st *state) ([]byte, error) {
	r, err := k.existing(c, st, "getIamPolicy")
	if err != nil {
		return nil, err
	}
	return c.getIamPolicy(&r.node)
}

func (k *workloadKind) setPolicy(c *call, st *state) ([]byte, error) {
	r, err := k.existing(c, st, "setIamPolicy")
	if err != nil {
		return nil, err
	}
	return c.setIamPolicy(st, &r.node)
}

// testPermissions needs no permission.
func (k *workloadKind) testPermissions(c *call, st *state) ([]byte, error) {
	key, id, err := k.locate(c, st, "get")
	if err != nil {
		return nil, err
	}
	r := st.run.find(key, id)
	if r == nil {
		return nil, k.missing(key, id)
	}
	return c.testIamPermissions(st, &r.node, func(permission string) bool {
		return st.permissionExists(permission) && testableOn(&r.node, permission)
	})
}
