package onion

import (
	"testing"
	"time"

	"github.com/cretz/bine/control"
)

func TestUploadsAreCountedAndFetchesAreNot(t *testing.T) {
	var u uploads
	start := time.Unix(1e9, 0)
	for i, s := range []struct {
		event        string
		done, failed int
	}{
		{"UPLOAD x UNKNOWN $A~a d HSDIR_INDEX=1", 0, 0},
		{"UPLOAD x UNKNOWN $B~b d HSDIR_INDEX=1", 0, 0},
		{"FAILED x UNKNOWN $C~c d REASON=NOT_FOUND", 0, 0}, // as a client
		{"UPLOADED x UNKNOWN $A~a", 1, 0},
		{"FAILED x UNKNOWN $A~a d REASON=UNEXPECTED", 1, 0}, // as a client
		{"FAILED x UNKNOWN $B~b d REASON=UPLOAD_REJECTED", 1, 1},
		{"UPLOADED x UNKNOWN $B~b", 2, 1},
		{"REQUESTED x NO_AUTH $A~a d", 2, 1},
	} {
		stored := u.note(control.ParseHSDescEvent(s.event), start.Add(time.Duration(i)*time.Second))
		var st State
		u.fill(&st)
		if st.Uploads != s.done || st.UploadFailures != s.failed || stored != (i == 3 || i == 6) {
			t.Errorf("%s: %d stored, %d failed (%v), want %d, %d", s.event, st.Uploads, st.UploadFailures, stored, s.done, s.failed)
		}
	}
	var st State
	u.fill(&st)
	if !st.FirstUpload.Equal(start.Add(3*time.Second)) || !st.LastUpload.Equal(start.Add(6*time.Second)) {
		t.Errorf("first %v, last %v", st.FirstUpload, st.LastUpload)
	}
}
