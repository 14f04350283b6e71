(** Scalar attention (Eq. 5 at d = d' = 1) over n tokens: output, gradient, update gain.

    logit_j = q k y m_j, s = softmax, [attended] m̄ = Σ s_j m_j, [variance] V = Σ s_j (m_j − m̄)²,
    [output] G = v w m̄. [gain] K is the squared norm of the gradient of G in (v, w, q, k, m). *)

From Coq Require Import Reals Lra Psatz Lia.
From Coquelicot Require Import Coquelicot.
From TFixup Require Import FiniteSums.
Open Scope R_scope.

Definition softmax (n : nat) (l : nat -> R) (j : nat) : R :=
  exp (l j) / total n (fun i => exp (l i)).

(** Mean of h under the attention weights of the logits l. *)
Definition mean (n : nat) (l h : nat -> R) : R := total n (fun j => softmax n l j * h j).

Definition logit (q k y : R) (m : nat -> R) (j : nat) : R := q * k * y * m j.

Definition attended (n : nat) (q k y : R) (m : nat -> R) : R := mean n (logit q k y m) m.

Definition variance (n : nat) (q k y : R) (m : nat -> R) : R :=
  mean n (logit q k y m) (fun j => (m j - attended n q k y m) ^ 2).

Definition output (n : nat) (v w q k y : R) (m : nat -> R) : R := v * w * attended n q k y m.

(** Σ s_j² (1 + q k y (m_j − m̄))². *)
Definition spread (n : nat) (q k y : R) (m : nat -> R) : R :=
  total n (fun j => softmax n (logit q k y m) j ^ 2
                    * (1 + q * k * y * (m j - attended n q k y m)) ^ 2).

(** K in terms of m̄, the spread and V: the formula that is compared with SymPy's. *)
Definition gain_formula (v w q k y mbar spread V : R) : R :=
  (v ^ 2 + w ^ 2) * mbar ^ 2 + v ^ 2 * w ^ 2 * (spread + (q ^ 2 + k ^ 2) * y ^ 2 * V ^ 2).

Definition gain (n : nat) (v w q k y : R) (m : nat -> R) : R :=
  gain_formula v w q k y (attended n q k y m) (spread n q k y m) (variance n q k y m).

(** Q̄, the condition of the repaired theorem. *)
Definition q_bar_formula (v w mbar : R) : R := v ^ 2 * w ^ 2 + (v ^ 2 + w ^ 2) * mbar ^ 2.

Definition q_bar (n : nat) (v w q k y : R) (m : nat -> R) : R :=
  q_bar_formula v w (attended n q k y m).

(** The theorem's condition as printed, for one m_i. *)
Definition printed_condition (v w mi : R) : R := v ^ 2 * w ^ 2 + w ^ 2 * mi ^ 2 + v ^ 2 * mi ^ 2.

(** The five partial derivatives. *)
Definition grad_v (w mbar : R) : R := w * mbar.
Definition grad_w (v mbar : R) : R := v * mbar.
Definition grad_m (v w q k y s mi mbar : R) : R := v * w * s * (1 + q * k * y * (mi - mbar)).
Definition grad_k (v w q y V : R) : R := v * w * q * y * V.
Definition grad_q (v w k y V : R) : R := v * w * k * y * V.

(** Change of one entry of the memory. *)
Definition update (m : nat -> R) (i : nat) (x : R) (j : nat) : R :=
  if Nat.eqb j i then x else m j.

(** *** Weights *)

Lemma normaliser_pos : forall n l, (1 <= n)%nat -> 0 < total n (fun i => exp (l i)).
Proof. intros. apply total_pos; [assumption|]. intros; apply exp_pos. Qed.

Lemma softmax_pos : forall n l j, (1 <= n)%nat -> 0 < softmax n l j.
Proof.
  intros. unfold softmax. apply Rdiv_lt_0_compat; [apply exp_pos | now apply normaliser_pos].
Qed.

Theorem softmax_sums_to_one : forall n l, (1 <= n)%nat -> total n (softmax n l) = 1.
Proof.
  intros n l Hn. pose proof (normaliser_pos n l Hn).
  rewrite (total_ext n _ (fun j => / total n (fun i => exp (l i)) * exp (l j)))
    by (intros; unfold softmax, Rdiv; ring).
  rewrite total_scal. apply Rinv_l; lra.
Qed.

Lemma softmax_le_one : forall n l j, (1 <= n)%nat -> (j < n)%nat -> softmax n l j <= 1.
Proof.
  intros n l j Hn Hj. rewrite <- (softmax_sums_to_one n l Hn).
  apply total_term; [intros; apply Rlt_le; now apply softmax_pos | assumption].
Qed.

Lemma mean_ext : forall n l f g, (forall j, (j < n)%nat -> f j = g j) -> mean n l f = mean n l g.
Proof. intros. apply total_ext. intros. now rewrite H. Qed.

Lemma mean_plus : forall n l f g, mean n l (fun j => f j + g j) = mean n l f + mean n l g.
Proof.
  intros. unfold mean. rewrite <- total_plus. apply total_ext; intros; ring.
Qed.

Lemma mean_scal : forall n l c f, mean n l (fun j => c * f j) = c * mean n l f.
Proof.
  intros. unfold mean. rewrite <- total_scal. apply total_ext; intros; ring.
Qed.

Lemma mean_const : forall n l c, (1 <= n)%nat -> mean n l (fun _ => c) = c.
Proof.
  intros. unfold mean.
  rewrite (total_ext n _ (fun j => c * softmax n l j)) by (intros; ring).
  rewrite total_scal, softmax_sums_to_one by assumption. ring.
Qed.

Lemma mean_le : forall n l f g, (1 <= n)%nat ->
  (forall j, (j < n)%nat -> f j <= g j) -> mean n l f <= mean n l g.
Proof.
  intros n l f g Hn H. apply total_le; intros j Hj.
  apply Rmult_le_compat_l; [apply Rlt_le; now apply softmax_pos | now apply H].
Qed.

Lemma mean_abs : forall n l f, (1 <= n)%nat ->
  Rabs (mean n l f) <= mean n l (fun j => Rabs (f j)).
Proof.
  intros n l f Hn. eapply Rle_trans; [apply total_abs|].
  right. apply total_ext; intros. rewrite Rabs_mult, (Rabs_right (softmax n l j));
    [reflexivity | apply Rle_ge, Rlt_le; now apply softmax_pos].
Qed.

Lemma mean_abs_le : forall n l f B, (1 <= n)%nat ->
  (forall j, (j < n)%nat -> Rabs (f j) <= B) -> Rabs (mean n l f) <= B.
Proof.
  intros n l f B Hn H. eapply Rle_trans; [now apply mean_abs|].
  rewrite <- (mean_const n l B Hn). now apply mean_le.
Qed.

(** *** Derivatives *)

(** d/dt Σ s_j h_j = Σ s_j h'_j + Cov_s(h, l'), for weights s = softmax of l. *)
Theorem is_derive_mean : forall n (l h : R -> nat -> R) (dl dh : nat -> R) (t : R),
  (1 <= n)%nat ->
  (forall j, (j < n)%nat -> is_derive (fun u : R => l u j) t (dl j)) ->
  (forall j, (j < n)%nat -> is_derive (fun u : R => h u j) t (dh j)) ->
  is_derive (fun u : R => mean n (l u) (h u)) t
    (mean n (l t) dh + mean n (l t) (fun j => h t j * dl j)
     - mean n (l t) (h t) * mean n (l t) dl).
Proof.
  intros n l h dl dh t Hn Hl Hh.
  pose proof (normaliser_pos n (l t) Hn) as Hz.
  assert (He : forall j, (j < n)%nat ->
    is_derive (fun u : R => exp (l u j)) t (dl j * exp (l t j))).
  { intros j Hj. apply (is_derive_comp exp (fun u : R => l u j)); [|now apply Hl].
    apply is_derive_Reals, derivable_pt_lim_exp. }
  pose proof (is_derive_total n (fun u i => exp (l u i)) _ t He) as HZ.
  assert (Hn1 : is_derive (fun u : R => total n (fun j => exp (l u j) * h u j)) t
     (total n (fun j => dl j * exp (l t j) * h t j + exp (l t j) * dh j))).
  { apply (is_derive_total n (fun u j => exp (l u j) * h u j)). intros j Hj.
    apply (is_derive_mult (fun u : R => exp (l u j)) (fun u : R => h u j) t (dl j * exp (l t j)) (dh j));
      [now apply He | now apply Hh | intros; apply Rmult_comm]. }
  apply (is_derive_ext (fun u : R => total n (fun j => exp (l u j) * h u j)
                                     / total n (fun i => exp (l u i)))).
  { intros u. unfold mean, softmax, Rdiv. rewrite Rmult_comm, <- total_scal.
    apply total_ext; intros; ring. }
  evar_last.
  { apply (is_derive_div _ _ t _ _ Hn1 HZ). apply Rgt_not_eq; exact Hz. }
  rewrite total_plus. unfold mean, softmax, Rdiv.
  set (z := total n (fun i => exp (l t i))) in *.
  rewrite (total_ext n (fun j => exp (l t j) * / z * dh j) (fun j => / z * (exp (l t j) * dh j)))
    by (intros; ring).
  rewrite (total_ext n (fun j => exp (l t j) * / z * (h t j * dl j))
    (fun j => / z * (dl j * exp (l t j) * h t j))) by (intros; ring).
  rewrite (total_ext n (fun j => exp (l t j) * / z * h t j) (fun j => / z * (exp (l t j) * h t j)))
    by (intros; ring).
  rewrite (total_ext n (fun j => exp (l t j) * / z * dl j) (fun j => / z * (dl j * exp (l t j))))
    by (intros; ring).
  rewrite !total_scal. unfold minus, plus, opp, mult, scal; simpl. unfold mult; simpl.
  field. lra.
Qed.

(** Σ s_j (m_j − m̄) = 0. *)
Lemma centred : forall n q k y m, (1 <= n)%nat ->
  mean n (logit q k y m) (fun j => m j - attended n q k y m) = 0.
Proof.
  intros. set (l := logit q k y m). set (c := attended n q k y m).
  rewrite (mean_ext n l _ (fun j => m j + (- c) * 1)) by (intros; ring).
  rewrite mean_plus, mean_scal, mean_const by assumption.
  change (mean n l m) with c. ring.
Qed.

(** m̄ along a curve. *)
Theorem is_derive_attended : forall n (q k : R -> R) (y : R) (m : R -> nat -> R)
  (dq dk : R) (dm : nat -> R) (t : R), (1 <= n)%nat ->
  is_derive q t dq -> is_derive k t dk ->
  (forall j, (j < n)%nat -> is_derive (fun u : R => m u j) t (dm j)) ->
  is_derive (fun u : R => attended n (q u) (k u) y (m u)) t
    (total n (fun j => softmax n (logit (q t) (k t) y (m t)) j
        * (1 + q t * k t * y * (m t j - attended n (q t) (k t) y (m t))) * dm j)
     + (dq * k t + q t * dk) * y * variance n (q t) (k t) y (m t)).
Proof.
  intros n q k y m dq dk dm t Hn Hq Hk Hm.
  set (dl := fun j => (dq * k t + q t * dk) * y * m t j + q t * k t * y * dm j).
  evar_last.
  { apply (is_derive_mean n (fun u => logit (q u) (k u) y (m u)) m dl dm t Hn); [|assumption].
    intros j Hj. specialize (Hm j Hj). unfold logit, dl.
    evar_last.
    { apply (is_derive_mult (fun u : R => q u * k u * y) (fun u : R => m u j) t
               ((dq * k t + q t * dk) * y) (dm j)); [|exact Hm|intros; apply Rmult_comm].
      evar_last.
      { apply (is_derive_scal_l (fun u : R => q u * k u) t (dq * k t + q t * dk) y).
        evar_last.
        { apply (is_derive_mult q k t dq dk Hq Hk); intros; apply Rmult_comm. }
        unfold plus, mult; simpl; ring. }
      unfold scal; simpl; unfold mult; simpl; ring. }
    unfold plus, mult; simpl; ring. }
  set (l := logit (q t) (k t) y (m t)). set (c := attended n (q t) (k t) y (m t)).
  change (mean n l (m t)) with c.
  assert (Hc : mean n l (fun j => m t j - c) = 0) by (apply centred; assumption).
  assert (E1 : mean n l (fun j => m t j * dl j) - c * mean n l dl
               = mean n l (fun j => (m t j - c) * dl j)).
  { rewrite <- mean_scal.
    replace (mean n l (fun j => m t j * dl j) - mean n l (fun j => c * dl j))
      with (mean n l (fun j => m t j * dl j) + (-1) * mean n l (fun j => c * dl j)) by ring.
    rewrite <- mean_scal, <- mean_plus. apply mean_ext; intros; ring. }
  replace (mean n l dm + mean n l (fun j => m t j * dl j) - c * mean n l dl)
    with (mean n l dm + mean n l (fun j => (m t j - c) * dl j)) by (rewrite <- E1; ring).
  set (da := (dq * k t + q t * dk) * y) in *. set (a := q t * k t * y) in *.
  assert (E2 : variance n (q t) (k t) y (m t) = mean n l (fun j => (m t j - c) * m t j)).
  { unfold variance. fold l c.
    rewrite (mean_ext n l (fun j => (m t j - c) ^ 2)
               (fun j => (m t j - c) * m t j + (- c) * (m t j - c))) by (intros; ring).
    rewrite mean_plus, mean_scal, Hc. ring. }
  rewrite E2, <- mean_scal.
  change (total n (fun j => softmax n l j * (1 + a * (m t j - c)) * dm j)
          + mean n l (fun j => da * ((m t j - c) * m t j)))
    with (total n (fun j => softmax n l j * (1 + a * (m t j - c)) * dm j)
          + mean n l (fun j => da * ((m t j - c) * m t j))).
  rewrite (total_ext n _ (fun j => softmax n l j * (dm j + a * (m t j - c) * dm j)))
    by (intros; ring).
  change (total n (fun j => softmax n l j * (dm j + a * (m t j - c) * dm j)))
    with (mean n l (fun j => dm j + a * (m t j - c) * dm j)).
  rewrite <- !mean_plus. apply mean_ext; intros j Hj. unfold dl. ring.
Qed.
