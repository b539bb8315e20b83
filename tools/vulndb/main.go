// Vulndb writes a Trivy database (schema 2) from advisories given as JSON lines on standard input:
//
//	{"cve":"CVE-2024-0001","platform":"debian 12","source":"openssl","fixedVersion":"3.0.14-1~deb12u2","severity":"HIGH","title":"…"}
//
// platform and source are Trivy's own terms for operating system packages: family with major release, and the
// source package. An empty fixedVersion means that no fix exists yet. Lines that are not right stop it before
// anything is written, each named by its number.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/aquasecurity/trivy-db/pkg/db"
	"github.com/aquasecurity/trivy-db/pkg/metadata"
	"github.com/aquasecurity/trivy-db/pkg/types"
	bolt "go.etcd.io/bbolt"
)

type advisory struct {
	CVE          string `json:"cve"`
	Platform     string `json:"platform"`
	Source       string `json:"source"`
	FixedVersion string `json:"fixedVersion"`
	Severity     string `json:"severity"`
	Title        string `json:"title"`
}

type options struct {
	out       string
	updatedAt time.Time
	source    types.DataSource
}

var (
	cvePattern      = regexp.MustCompile(`^CVE-\d{4}-\d{4,}$`)
	platformPattern = regexp.MustCompile(`^[a-z]+ \d+(\.\d+)?$`)
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "vulndb:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("vulndb", flag.ContinueOnError)
	folder := flags.String("out", "", "Trivy cache `folder`; db/trivy.db and db/metadata.json are written into it")
	updatedAt := flags.String("updated-at", "", "`time` of the data, RFC 3339; the database says it was updated then")
	sourceID := flags.String("source-id", "", "short `name` of the data source, as findings show it")
	sourceName := flags.String("source-name", "", "full `name` of the data source")
	sourceURL := flags.String("source-url", "", "where the data comes from")
	if err := flags.Parse(args); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, *updatedAt)
	if err != nil {
		return fmt.Errorf("-updated-at %q is not a time like 2026-01-31T00:00:00Z", *updatedAt)
	}
	if *folder == "" || *sourceID == "" || *sourceName == "" {
		return fmt.Errorf("-out, -source-id and -source-name are required")
	}
	advisories, err := read(in)
	if err != nil {
		return err
	}
	source := types.DataSource{ID: types.SourceID(*sourceID), Name: *sourceName, URL: *sourceURL}
	if err := write(advisories, options{out: *folder, updatedAt: at.UTC(), source: source}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d advisories\n", len(advisories))
	return err
}

func read(in io.Reader) ([]advisory, error) {
	var advisories []advisory
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		entry, err := parse(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		advisories = append(advisories, entry)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(advisories) == 0 {
		return nil, fmt.Errorf("no advisories on standard input; an empty database would pass every image")
	}
	return advisories, nil
}

func parse(line string) (advisory, error) {
	var entry advisory
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&entry); err != nil {
		return entry, err
	}
	if !cvePattern.MatchString(entry.CVE) {
		return entry, fmt.Errorf("cve %q is not like CVE-2024-0001", entry.CVE)
	}
	if !platformPattern.MatchString(entry.Platform) {
		return entry, fmt.Errorf("platform %q is not like \"debian 12\"", entry.Platform)
	}
	if entry.Source == "" {
		return entry, fmt.Errorf("source is empty")
	}
	_, err := types.NewSeverity(entry.Severity)
	return entry, err
}

// write fills a new folder beside the wanted one and renames it, so that a reader never meets half a database.
func write(advisories []advisory, o options) error {
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	dir := filepath.Join(o.out, "db")
	partial, err := os.MkdirTemp(o.out, ".db-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(partial)
	if err := os.Chmod(partial, 0o755); err != nil {
		return err
	}
	if err := db.Init(partial); err != nil {
		return err
	}
	err = db.Config{}.BatchUpdate(func(tx *bolt.Tx) error { return put(tx, advisories, o.source) })
	if err == nil {
		err = db.Config{}.DeleteAdvisoryDetailBucket()
	}
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	// Trivy takes a database without DownloadedAt for a broken download.
	meta := metadata.Metadata{Version: db.SchemaVersion, UpdatedAt: o.updatedAt, DownloadedAt: o.updatedAt, NextUpdate: o.updatedAt.AddDate(0, 0, 1)}
	if err := metadata.NewClient(partial).Update(meta); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(partial, dir)
}

func put(tx *bolt.Tx, advisories []advisory, source types.DataSource) error {
	config := db.Config{}
	vulnerabilities := map[string]types.Vulnerability{}
	for _, entry := range advisories {
		if err := config.PutDataSource(tx, entry.Platform, source); err != nil {
			return err
		}
		fixed := &types.Advisory{FixedVersion: entry.FixedVersion}
		if entry.FixedVersion == "" {
			fixed.Status = types.StatusAffected
		}
		if err := config.PutAdvisoryDetail(tx, entry.CVE, entry.Source, []string{entry.Platform}, fixed); err != nil {
			return err
		}
		vulnerabilities[entry.CVE] = worst(vulnerabilities[entry.CVE], entry, source.ID)
	}
	for cve, vulnerability := range vulnerabilities {
		if err := config.PutVulnerabilityID(tx, cve); err != nil {
			return err
		}
		if err := config.PutVulnerability(tx, cve, vulnerability); err != nil {
			return err
		}
		if err := config.SaveAdvisoryDetails(tx, cve); err != nil {
			return err
		}
	}
	return nil
}

// worst merges one more advisory of the same CVE: the highest severity and the first title win.
func worst(known types.Vulnerability, entry advisory, id types.SourceID) types.Vulnerability {
	severity, _ := types.NewSeverity(entry.Severity)
	if before, ok := known.VendorSeverity[id]; ok && before > severity {
		severity = before
	}
	if known.Title == "" {
		known.Title = entry.Title
	}
	known.Severity = severity.String()
	known.VendorSeverity = types.VendorSeverity{id: severity}
	return known
}
