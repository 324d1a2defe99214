package access

import "time"

func object() Resource {
	return Resource{Name: "projects/_/buckets/acme/objects/data/x.jpg", Type: "storage.googleapis.com/Object", Service: "storage.googleapis.com"}
}

// conditional is a row of a condition on a binding for alice.
func conditional(name, doc, says, expression string, res Resource, want Outcome, causes ...CauseKind) row {
	return row{name: name, doc: doc, says: says, as: alice, res: res, project: when(expression, accountUser, alice), want: want, causes: causes}
}

// conditionRows are about conditions on resources, and about what can't be
// evaluated.
func conditionRows() []row {
	none := Resource{}
	project := Resource{Type: "cloudresourcemanager.googleapis.com/Project", Service: "cloudresourcemanager.googleapis.com"}
	return []row{
		conditional("true", pageConditions, "The role is only granted if the condition expression evaluates to true.", `true`, none, Granted),
		conditional("false", pageConditions, "The role is only granted if the condition expression evaluates to true.", `false`, none, Denied),
		conditional("service is", pageAttributes+"#resource-service", "resource.service == returns true for resources of the service.",
			`resource.service == "storage.googleapis.com"`, object(), Granted),
		conditional("service is another", pageAttributes+"#resource-service", "resource.service == returns true for resources of the service.",
			`resource.service == "compute.googleapis.com"`, object(), Denied),
		conditional("type is", pageAttributes+"#resource-type", "resource.type == allows resources of that type, but no other.",
			`resource.type == "storage.googleapis.com/Object"`, object(), Granted),
		conditional("type isn't", pageAttributes+"#resource-type", "resource.type != returns true unless the resource is of that type.",
			`resource.type != "compute.googleapis.com/Image"`, object(), Granted),
		conditional("one of two types", pageAttributes+"#resource-type", "== with || allows either type.",
			`(resource.type == "compute.googleapis.com/Image" || resource.type == "storage.googleapis.com/Object")`, object(), Granted),
		conditional("name is", pageAttributes+"#resource-name", "== compares with the entire resource.name.",
			`resource.name == "projects/_/buckets/acme/objects/data/x.jpg"`, object(), Granted),
		conditional("name isn't", pageAttributes+"#resource-name", "!= compares with the entire resource.name.",
			`resource.name != "projects/_/buckets/secret-bucket-123"`, object(), Granted),
		conditional("name starts with", pageAttributes+"#resource-name", "startsWith() evaluates a prefix of resource.name.",
			`resource.name.startsWith("projects/_/buckets/acme/objects/data/")`, object(), Granted),
		conditional("name doesn't start with", pageAttributes+"#resource-name", "startsWith() evaluates a prefix of resource.name.",
			`resource.name.startsWith("projects/_/buckets/other")`, object(), Denied),
		conditional("name ends with", pageAttributes+"#resource-name", "endsWith() evaluates a suffix of resource.name.",
			`resource.name.endsWith(".jpg")`, object(), Granted),
		conditional("no wildcards in names", pageAttributes+"#resource-name", "You cannot use wildcard characters such as * to match multiple resource names.",
			`resource.name == "projects/_/buckets/*"`, object(), Denied),
		conditional("prefix and suffix of one type", pageConditions, "== on the type && startsWith on the name allows objects of a bucket only.",
			`resource.type == "storage.googleapis.com/Object" && resource.name.startsWith("projects/_/buckets/acme/")`, object(), Granted),
		conditional("name that the resource doesn't have", pageAttributes+"#inherited-support", "resource.name.endsWith never grants access to any IAM resource, which doesn't provide the name.",
			`resource.name.endsWith("devResource")`, none, Denied),
		conditional("name that the resource doesn't have, negated", pageAttributes+"#inherited-support", "A part on an attribute that isn't available is never interpreted as granting access.",
			`!resource.name.endsWith("devResource")`, none, Denied),
		conditional("name that the resource doesn't have, unequal", pageAttributes+"#inherited-support", "A part on an attribute that isn't available is never interpreted as granting access.",
			`resource.name != "x"`, none, Denied),
		conditional("name that the resource doesn't have, other part true", pageAttributes+"#inherited-support", "Only the part of the condition is never interpreted as granting access.",
			`resource.name.endsWith("devResource") || request.time > timestamp("2020-01-01T00:00:00Z")`, none, Granted),
		conditional("guarded by the type", pageAttributes+"#inherited-support", "With resource.type != X ||, the condition is true for all other types of resources.",
			`resource.type != "compute.googleapis.com/Disk" || resource.name.endsWith("devResource")`, none, Granted),
		conditional("guarded by the type, of that type", pageAttributes+"#inherited-support", "For resources of the type, the condition checks the name.",
			`resource.type != "compute.googleapis.com/Disk" || resource.name.endsWith("devResource")`,
			Resource{Name: "projects/p/zones/z/disks/prod", Type: "compute.googleapis.com/Disk", Service: "compute.googleapis.com"}, Denied),
		conditional("type of a resource that has none", pageResources, "Other services and resource types do not recognize resource attributes.",
			`resource.type == "iam.googleapis.com/ServiceAccount"`, none, Denied),
		conditional("service of a resource that has none", pageResources, "Other services and resource types do not recognize resource attributes.",
			`resource.service == "run.googleapis.com"`, none, Denied),
		conditional("projects have a type", pageResources+"#resource-type", "The values of the resource type include cloudresourcemanager.googleapis.com/Project.",
			`resource.type == "cloudresourcemanager.googleapis.com/Project"`, project, Granted),
		conditional("and", pageConditions, "&& requires both statements to be met.",
			`resource.service == "storage.googleapis.com" && resource.name.endsWith(".png")`, object(), Denied),
		conditional("or", pageConditions, "|| requires one of the statements to be met.",
			`resource.service == "compute.googleapis.com" || resource.name.endsWith(".jpg")`, object(), Granted),
		conditional("not", pageConditions, "! is the third logical operator.",
			`!(resource.service == "compute.googleapis.com")`, object(), Granted),
		conditional("an error in the unused part of or", pageCEL+"#logical-operators", "|| is true if one operand is, whatever error the other one is.",
			`timestamp("never") > request.time || true`, object(), Granted),
		conditional("an error in the unused part of and", pageCEL+"#logical-operators", "&& is false if one operand is, whatever error the other one is.",
			`timestamp("never") > request.time && false`, object(), Denied),
		conditional("tags", pageAttributes+"#resource-tags", "matchTag checks the tags of the resource, which aren't known here.",
			`resource.matchTag("123/env", "prod")`, object(), Unknown, CauseCondition),
		conditional("tags, decided by another part", pageConditions, "&& requires both statements to be met, so a false one decides.",
			`resource.matchTag("123/env", "prod") && request.time < timestamp("2020-01-01T00:00:00Z")`, object(), Denied),
		conditional("tags, granted by another part", pageConditions, "|| requires one of the statements, so a true one decides.",
			`resource.matchTag("123/env", "prod") || request.time > timestamp("2020-01-01T00:00:00Z")`, object(), Granted),
		conditional("path of the request", pageAttributes+"#url", "request.path is available for Identity-Aware Proxy and Cloud Run; it isn't known here.",
			`request.path.startsWith("/admin")`, none, Unknown, CauseCondition),
		conditional("access levels", pageAttributes+"#access-levels", "request.auth.access_levels is available for Identity-Aware Proxy; it isn't known here.",
			`"accessPolicies/1/accessLevels/Corp" in request.auth.access_levels`, none, Unknown, CauseCondition),
		conditional("destination", pageAttributes+"#ip-port", "destination.ip is available for tunnels; it isn't known here.",
			`destination.ip == "10.0.0.1" && destination.port == 22`, none, Unknown, CauseCondition),
		conditional("API attributes", pageAttributes+"#api", "api.getAttribute gets data provided by an API, which isn't known here.",
			`api.getAttribute("iam.googleapis.com/modifiedGrantsByRole", []).hasOnly(["roles/run.invoker"])`, none, Unknown, CauseCondition),
		conditional("forwarding rules", pageAttributes+"#forwarding-rule", "compute.isForwardingRuleCreationOperation checks the request, which isn't known here.",
			`!compute.isForwardingRuleCreationOperation()`, none, Unknown, CauseCondition),
		{name: "role with a hidden condition", doc: pageAllow, says: "Read as version 1, the role name gets _withcond_ and a hash, and the condition isn't present.",
			as: alice, project: to(accountUser+"_withcond_58e135cabb940ad9346c", alice), want: Unknown, causes: []CauseKind{CauseCondition}},
		{name: "role with a hidden condition, without the permission", doc: pageAllow, says: "Read as version 1, the role name gets _withcond_ and a hash.",
			as: alice, project: to("roles/viewer_withcond_58e135cabb940ad9346c", alice), want: Denied},
		{name: "condition of someone else", doc: pageConditions, says: "If a role binding has a condition, its principals are only granted the role if it is true.",
			as: alice, project: when(`resource.matchTag("123/env", "prod")`, accountUser, "user:bob@example.com"), want: Denied},
	}
}

// at is a row of a condition on time for alice.
func at(name, says, expression string, moment time.Time, want Outcome) row {
	return row{name: name, doc: pageAttributes + "#date-time", says: says, as: alice, at: moment, project: when(expression, accountUser, alice), want: want}
}

// timeRows are about request.time. It is Monday 2026-11-23, 10:30:15.25 UTC.
func timeRows() []row {
	now := tableTime()
	return []row{
		at("before", "< returns true if the request time is before the timestamp.", `request.time < timestamp("2026-11-23T10:30:16Z")`, now, Granted),
		at("not before", "< returns true if the request time is before the timestamp.", `request.time < timestamp("2026-11-23T10:30:15Z")`, now, Denied),
		at("exactly at the end", "< returns true if the request time is before the timestamp.", `request.time < timestamp("2026-11-23T10:30:15.25Z")`, now, Denied),
		at("before or at", "<= returns true if the request time is before or equal to the timestamp.", `request.time <= timestamp("2026-11-23T10:30:15.25Z")`, now, Granted),
		at("after", "> returns true if the request time is after the timestamp.", `request.time > timestamp("2026-11-23T00:00:00.00Z")`, now, Granted),
		at("after or at", ">= returns true if the request time is after or equal to the timestamp.", `request.time >= timestamp("2026-11-23T10:30:15.250Z")`, now, Granted),
		at("timestamp with an offset", "A timestamp complies with RFC 3339.", `request.time < timestamp("2026-11-23T11:30:00+01:00")`, now, Denied),
		at("window", "&& requires both statements, a start and an end.", `request.time > timestamp("2026-11-23T10:00:00Z") && request.time < timestamp("2026-11-23T11:00:00Z")`, now, Granted),
		at("invalid timestamp", "If the input parameter is invalid, the condition will never allow access to any resource.", `request.time < timestamp("soon")`, now, Denied),
		at("invalid timestamp, negated", "If the input parameter is invalid, the condition will never allow access to any resource.", `!(request.time < timestamp("soon"))`, now, Denied),
		at("date", "date() is the day at 00:00:00 UTC.", `request.time > date("2026-11-23")`, now, Granted),
		at("date of tomorrow", "date() is the day at 00:00:00 UTC.", `request.time > date("2026-11-24")`, now, Denied),
		at("invalid date", "A date has the format YYYY-MM-DD.", `request.time > date("2026-2-3")`, now, Denied),
		at("timestamp plus duration", "A Duration can be added to a Timestamp.", `request.time < timestamp("2026-11-23T10:00:00.00Z") + duration("1800s")`, now, Denied),
		at("timestamp minus duration", "A Duration can be subtracted from a Timestamp.", `request.time > timestamp("2026-11-24T10:00:00.00Z") - duration("86400s")`, now, Granted),
		at("getDate", "The day of the month, one-based.", `request.time.getDate() == 23`, now, Granted),
		at("getDayOfMonth", "The day of the month, zero-based.", `request.time.getDayOfMonth() == 22`, now, Granted),
		at("getDayOfWeek", "The day of the week, zero-based; Sunday is 0.", `request.time.getDayOfWeek() == 1`, now, Granted),
		at("getDayOfYear", "The day of the year, zero-based.", `request.time.getDayOfYear() == 326`, now, Granted),
		at("getFullYear", "Gets the year from the timestamp.", `request.time.getFullYear() == 2026`, now, Granted),
		at("getMonth", "The month, zero-based.", `request.time.getMonth() == 10`, now, Granted),
		at("getHours", "The hour, from 0 to 23, in UTC by default.", `request.time.getHours() == 10`, now, Granted),
		at("getMinutes", "The minutes after the hour.", `request.time.getMinutes() == 30`, now, Granted),
		at("getSeconds", "The seconds, from 0 to 59.", `request.time.getSeconds() == 15`, now, Granted),
		at("getMilliseconds", "The milliseconds, from 0 to 999.", `request.time.getMilliseconds() == 250`, now, Granted),
		at("hours in a zone", "To specify a time zone, pass its name.", `request.time.getHours("Europe/Berlin") == 11`, now, Granted),
		at("hours in a zone in summer", "A name of the IANA database has its daylight saving time.", `request.time.getHours("Europe/Berlin") == 12`, time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC), Granted),
		at("hours at an offset", "A UTC offset such as +01:00 can be passed.", `request.time.getHours("+01:00") == 11`, now, Granted),
		at("hours at a negative offset", "A UTC offset can be passed.", `request.time.getHours("-08:30") == 2 && request.time.getMinutes("-08:30") == 0`, now, Granted),
		at("date in a zone", "The function takes the zone for which to calculate the result.", `request.time.getDate("Pacific/Auckland") == 23 && request.time.getHours("Pacific/Auckland") == 23`, now, Granted),
		at("day of the week in a zone", "One might want to know whether a timestamp falls on a Monday in Berlin.", `request.time.getDayOfWeek("America/Los_Angeles") == 0`, time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC), Granted),
		at("working hours", "Between 9:00 and 17:00 on a weekday in Berlin.", `request.time.getDayOfWeek("Europe/Berlin") >= 1 && request.time.getDayOfWeek("Europe/Berlin") <= 5 && request.time.getHours("Europe/Berlin") >= 9 && request.time.getHours("Europe/Berlin") <= 17`, now, Granted),
		at("outside of working hours", "Between 9:00 and 17:00 on a weekday in Berlin.", `request.time.getHours("Europe/Berlin") >= 9 && request.time.getHours("Europe/Berlin") <= 17`, time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC), Denied),
		at("unknown zone", "To specify a time zone, use the IANA Time Zone Database.", `request.time.getHours("Mars/Olympus") >= 0`, now, Denied),
	}
}

// extractRows are about extract(), with the example of its documentation.
func extractRows() []row {
	res := Resource{Name: "projects/_/buckets/acme-orders-aaa/objects/data_lake/orders/order_date=2019-11-03/aef87g87ae0876", Type: "storage.googleapis.com/Object", Service: "storage.googleapis.com"}
	var rows []row
	for _, x := range []struct{ name, says, template, want string }{
		{"prefix and suffix", "The characters between the first occurrence of the prefix and the first subsequent occurrence of the suffix.", "/order_date={date}/", "2019-11-03"},
		{"first suffix after the prefix", "The first subsequent occurrence of the suffix.", "buckets/{name}/", "acme-orders-aaa"},
		{"nothing in between", "An empty string if there are no characters between the prefix and the suffix.", "/orders/{empty}order_date", ""},
		{"suffix only", "The characters before the first occurrence of the suffix.", "{start}/objects/data_lake", "projects/_/buckets/acme-orders-aaa"},
		{"prefix only", "The characters after the first occurrence of the prefix.", "orders/{end}", "order_date=2019-11-03/aef87g87ae0876"},
		{"neither", "The entire attribute.", "{all}", "projects/_/buckets/acme-orders-aaa/objects/data_lake/orders/order_date=2019-11-03/aef87g87ae0876"},
		{"suffix overlaps the prefix", "An empty string if the suffix doesn't appear after the prefix.", "/orders/{none}/order_date=", ""},
		{"suffix only before the prefix", "If the suffix appears only before the prefix, an empty string.", "/orders/order_date=2019-11-03/{id}/data_lake", ""},
		{"prefix that doesn't appear", "If the prefix doesn't appear in the attribute, an empty string.", "secrets/{s}", ""},
	} {
		rows = append(rows, conditional(x.name, pageAttributes+"#extract", x.says, `resource.name.extract("`+x.template+`") == "`+x.want+`"`, res, Granted))
	}
	return append(rows,
		conditional("first occurrence of the prefix", pageAttributes+"#extract", "The first occurrence of the prefix counts.",
			`resource.name.extract("a/{x}/") == "b"`, Resource{Name: "a/b/a/c/"}, Granted),
		conditional("extracted date", pageAttributes+"#extract", "If you extract a date, you can convert it to a Timestamp.",
			`date(resource.name.extract("/order_date={date}/")) < request.time`, res, Granted),
		conditional("extracted date that is none", pageAttributes+"#date-time", "A date has the format YYYY-MM-DD.",
			`date(resource.name.extract("buckets/{date}/")) < request.time`, res, Denied),
		conditional("template without identifier", pageAttributes+"#extract", "An extraction template contains an identifier in curly braces.",
			`resource.name.extract("buckets/") == ""`, res, Denied),
		conditional("identifier with other characters", pageAttributes+"#extract", "Letters, digits and underscores can be used in the identifier.",
			`resource.name.extract("buckets/{a-b}/") == "acme-orders-aaa"`, res, Denied),
	)
}
